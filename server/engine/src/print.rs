//! What was asked, as a hash: the same for the same.

use std::fmt::{self, Debug, Write as _};

/// The hash.
pub type Print = [u8; 32];

/// Makes one of all that it is given, in order.
#[derive(Default)]
pub struct Printer(blake3::Hasher);

impl fmt::Write for Printer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

impl Printer {
    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Every field of a value: its debug form names them.
    pub fn fields(&mut self, value: &impl Debug) {
        // Hashing cannot fail.
        let _ = write!(self, "{value:?}");
    }

    /// The hash.
    pub fn done(self) -> Print {
        *self.0.finalize().as_bytes()
    }
}
