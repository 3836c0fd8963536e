use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::json;

use super::{ask::Refusal, tokens};

/// Length of the vectors unless the request chooses one.
const LENGTH: usize = 256;
/// The longest vectors.
const LONGEST: usize = 4_096;
/// Most inputs in a request, as hosts have a limit too.
const MOST_INPUTS: usize = 64;
/// Most tokens of an input.
const MOST_TOKENS: u64 = 8_192;

#[derive(Deserialize)]
struct Ask {
    model: String,
    input: Inputs,
    dimensions: Option<usize>,
    encoding_format: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Inputs {
    Text(String),
    Tokens(Vec<i64>),
    Texts(Vec<String>),
    ManyTokens(Vec<Vec<i64>>),
}

/// The body of an answer.
pub(super) fn answer(body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let ask: Ask = serde_json::from_slice(body)
        .map_err(|error| Refusal { param: None, ..Refusal::invalid("", format!("the sandbox cannot read the request: {error}")) })?;
    if ask.model != "embedding" {
        let message = format!("the sandbox has no model {} that makes vectors; use sandbox/embedding", ask.model);
        return Err(Refusal { status: 404, code: Some("model_not_found"), ..Refusal::invalid("model", message) });
    }
    let length = ask.dimensions.unwrap_or(LENGTH);
    if !(1..=LONGEST).contains(&length) {
        return Err(Refusal::invalid("dimensions", format!("must be 1 to {LONGEST}")));
    }
    let words: Vec<Vec<String>> = match ask.input {
        Inputs::Text(text) => vec![words(&text)],
        Inputs::Texts(texts) => texts.iter().map(|text| words(text)).collect(),
        Inputs::Tokens(tokens) => vec![tokens.iter().map(i64::to_string).collect()],
        Inputs::ManyTokens(many) => many.iter().map(|tokens| tokens.iter().map(i64::to_string).collect()).collect(),
    };
    if words.len() > MOST_INPUTS {
        return Err(Refusal::invalid("input", format!("takes at most {MOST_INPUTS} inputs in a request")));
    }
    if words.iter().any(|words| words.len() as u64 > MOST_TOKENS) {
        let message = format!("this model's maximum context length is {MOST_TOKENS} tokens");
        return Err(Refusal { code: Some("context_length_exceeded"), ..Refusal::invalid("input", message) });
    }
    let counted: usize = words.iter().map(Vec::len).sum();
    let base64 = ask.encoding_format.as_deref() == Some("base64");
    let data: Vec<_> = words
        .iter()
        .enumerate()
        .map(|(index, words)| {
            let vector = vector(words, length);
            let embedding = if base64 { json!(STANDARD.encode(vector.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())) } else { json!(vector) };
            json!({ "object": "embedding", "index": index, "embedding": embedding })
        })
        .collect();
    let answer = json!({ "object": "list", "data": data, "model": ask.model, "usage": { "prompt_tokens": counted, "total_tokens": counted } });
    Ok(answer.to_string().into_bytes())
}

/// The tokens of a text, as the sandbox counts them, without what sets two apart for the eye alone.
fn words(text: &str) -> Vec<String> {
    tokens::split(text).map(|token| token.trim().to_lowercase()).collect()
}

/// The sum of its words' directions, of length 1: texts that share words are near each other.
fn vector(words: &[String], length: usize) -> Vec<f32> {
    let mut sum = vec![0.0_f64; length];
    for word in words.iter().map(String::as_str).chain(words.is_empty().then_some("")) {
        // FNV-1a over the word, then SplitMix64 for each component.
        let mut state = word.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        for component in &mut sum {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *component += ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0;
        }
    }
    let size = sum.iter().map(|x| x * x).sum::<f64>().sqrt();
    sum.iter().map(|x| if size > 0.0 { (x / size) as f32 } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: &str, b: &str) -> f32 {
        vector(&words(a), 256).iter().zip(vector(&words(b), 256)).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn vectors_have_length_one_and_shared_words_bring_texts_together() {
        assert!((near("the cat sat", "the cat sat") - 1.0).abs() < 1e-5);
        assert!((near("", "") - 1.0).abs() < 1e-5);
        assert!(near("the cat sat", "the cat ran") > 0.4);
        assert!(near("the cat sat", "monetary policy report") < 0.3);
    }
}
