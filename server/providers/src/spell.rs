//! Writes JSON straight into bytes: no tree, and raw JSON stays as it was.

use headworks_core::Json;

/// The members of an object being written.
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

/// The items of an array being written.
pub struct Array<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

/// Appends `text` as a JSON string.
pub fn string(out: &mut Vec<u8>, text: &str) {
    // Writing a str into a Vec cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// Writes one object.
pub fn object(out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    fill(&mut Object { out, first: true });
    out.push(b'}');
}

/// Writes one array.
pub fn array(out: &mut Vec<u8>, fill: impl FnOnce(&mut Array<'_>)) {
    out.push(b'[');
    fill(&mut Array { out, first: true });
    out.push(b']');
}

impl Object<'_> {
    fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        string(self.out, name);
        self.out.push(b':');
        self.out
    }

    /// A string member.
    pub fn str(&mut self, name: &str, text: &str) {
        string(self.key(name), text);
    }

    /// A string member, where there is one.
    pub fn opt_str(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.str(name, text);
        }
    }

    /// Anything serde can write; used for numbers and booleans.
    pub fn val<T: serde::Serialize>(&mut self, name: &str, value: T) {
        let _ = serde_json::to_writer(self.key(name), &value);
    }

    /// The same, where there is one.
    pub fn opt<T: serde::Serialize>(&mut self, name: &str, value: Option<T>) {
        if let Some(value) = value {
            self.val(name, value);
        }
    }

    /// JSON as it is.
    pub fn raw(&mut self, name: &str, json: &str) {
        self.key(name).extend_from_slice(json.as_bytes());
    }

    /// JSON as it is, where there is some.
    pub fn opt_json(&mut self, name: &str, json: Option<&Json>) {
        if let Some(json) = json {
            self.raw(name, json.as_str());
        }
    }

    /// An object member.
    pub fn obj(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        object(self.key(name), fill);
    }

    /// An array member.
    pub fn arr(&mut self, name: &str, fill: impl FnOnce(&mut Array<'_>)) {
        array(self.key(name), fill);
    }
}

impl Array<'_> {
    fn item(&mut self) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out
    }

    /// A string item.
    pub fn str(&mut self, text: &str) {
        string(self.item(), text);
    }

    /// JSON as it is.
    pub fn raw(&mut self, json: &str) {
        self.item().extend_from_slice(json.as_bytes());
    }

    /// An object item.
    pub fn obj(&mut self, fill: impl FnOnce(&mut Object<'_>)) {
        object(self.item(), fill);
    }
}
