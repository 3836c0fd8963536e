//! One name in the casing and with the reserved words of each language.

/// Words of an identifier: split at `_`, at a capital after a small letter and before the last capital of a run.
fn words(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for (at, letter) in letters.iter().enumerate() {
        if !letter.is_alphanumeric() {
            words.push(std::mem::take(&mut word));
            continue;
        }
        let before = at.checked_sub(1).and_then(|i| letters.get(i));
        let after = letters.get(at + 1);
        let begins = letter.is_uppercase()
            && before.is_some_and(|b| b.is_lowercase() || b.is_ascii_digit() || (b.is_uppercase() && after.is_some_and(|a| a.is_lowercase())));
        if begins {
            words.push(std::mem::take(&mut word));
        }
        word.extend(letter.to_lowercase());
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// `list_models`
pub fn snake(name: &str) -> String {
    words(name).join("_")
}

/// `ListModels`
pub fn pascal(name: &str) -> String {
    words(name).iter().map(|word| capital(word)).collect()
}

/// `listModels`
pub fn camel(name: &str) -> String {
    words(name).iter().enumerate().map(|(at, word)| if at == 0 { word.clone() } else { capital(word) }).collect()
}

const PYTHON: &str = "False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield self";
const TYPESCRIPT: &str = "constructor toString toJSON valueOf then";
const JAVA: &str = "yield abstract assert boolean break byte case catch char class const continue default do double else enum extends final finally float for goto if implements import instanceof int interface long native new package private protected public return short static strictfp super switch synchronized this throw throws transient try void volatile while true false null _ clone finalize getClass hashCode notify notifyAll toString wait";
const RUST: &str = "as break const continue else enum extern false fn for if impl in let loop match mod move mut pub ref return static struct trait true type unsafe use where while async await dyn abstract become box do final macro override priv typeof unsized virtual yield try gen";

fn reserved(words: &str, name: &str) -> bool {
    words.split(' ').any(|word| word == name)
}

/// A Python method or parameter.
pub fn python(name: &str) -> String {
    let name = snake(name);
    if reserved(PYTHON, &name) { name + "_" } else { name }
}

/// A TypeScript method. Reserved words may name methods; a few of every object's own may not.
pub fn typescript(name: &str) -> String {
    let name = camel(name);
    if reserved(TYPESCRIPT, &name) { name + "$" } else { name }
}

/// A Java method.
pub fn java(name: &str) -> String {
    let name = camel(name);
    if reserved(JAVA, &name) { name + "_" } else { name }
}

/// A Rust method or field, as prost and tonic spell it.
pub fn rust(name: &str) -> String {
    let name = snake(name);
    match name.as_str() {
        "self" | "super" | "crate" => name + "_",
        _ if reserved(RUST, &name) => format!("r#{name}"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_in_every_casing() {
        for (name, in_snake, in_pascal, in_camel) in [
            ("ListModels", "list_models", "ListModels", "listModels"),
            ("cache_write_5m_tokens", "cache_write_5m_tokens", "CacheWrite5mTokens", "cacheWrite5mTokens"),
            ("HTTPServer", "http_server", "HttpServer", "httpServer"),
            ("URL", "url", "Url", "url"),
        ] {
            assert_eq!((snake(name), pascal(name), camel(name)), (in_snake.into(), in_pascal.into(), in_camel.into()), "{name}");
        }
    }

    #[test]
    fn reserved_words_are_bent_as_each_language_does() {
        assert_eq!((python("Import"), python("from"), python("List")), ("import_".into(), "from_".into(), "list".into()));
        assert_eq!((typescript("Delete"), typescript("Constructor")), ("delete".into(), "constructor$".into()));
        assert_eq!((java("Import"), java("Wait")), ("import_".into(), "wait_".into()));
        assert_eq!((rust("Type"), rust("Self"), rust("Yield")), ("r#type".into(), "self_".into(), "r#yield".into()));
    }
}
