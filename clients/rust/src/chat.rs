//! Messages in short, answers in hand.

use crate::{Error, Headworks, usd, v1};

/// A chat: a model and what is said. More of it as fields: `v1::Chat { tools, ..chat(model, messages) }`.
pub fn chat(model: impl Into<String>, messages: impl Into<Vec<v1::Message>>) -> v1::Chat {
    v1::Chat { model: model.into(), messages: messages.into(), ..v1::Chat::default() }
}

fn message(role: v1::Role, parts: Vec<v1::Part>) -> v1::Message {
    v1::Message { role: role as i32, parts, ..v1::Message::default() }
}

fn part(kind: v1::part::Kind) -> v1::Part {
    v1::Part { kind: Some(kind), ..v1::Part::default() }
}

/// A part of text.
pub fn text(text: impl Into<String>) -> v1::Part {
    part(v1::part::Kind::Text(text.into()))
}

/// A picture that the provider fetches.
pub fn image_url(url: impl Into<String>) -> v1::Part {
    part(v1::part::Kind::Image(v1::Image { source: Some(v1::image::Source::Url(url.into())), ..v1::Image::default() }))
}

/// A picture by its bytes and media type.
pub fn image(data: impl Into<Vec<u8>>, mime_type: impl Into<String>) -> v1::Part {
    let image = v1::Image { source: Some(v1::image::Source::Data(data.into())), mime_type: mime_type.into(), ..v1::Image::default() };
    part(v1::part::Kind::Image(image))
}

impl From<&str> for v1::Part {
    fn from(words: &str) -> Self {
        text(words)
    }
}

/// What the person says: a text.
pub fn user(words: impl Into<String>) -> v1::Message {
    message(v1::Role::User, vec![text(words)])
}

/// Instructions of the application.
pub fn system(words: impl Into<String>) -> v1::Message {
    message(v1::Role::System, vec![text(words)])
}

/// What the model said. For its real answers, [`Reply::message`] keeps more.
pub fn assistant(words: impl Into<String>) -> v1::Message {
    message(v1::Role::Assistant, vec![text(words)])
}

impl v1::Message {
    /// The same with one more part, such as [`image`].
    pub fn with(mut self, part: v1::Part) -> Self {
        self.parts.push(part);
        self
    }
}

/// What a tool gave back for a call of [`Reply::tool_calls`].
pub fn tool_result(call: &v1::ToolCall, words: impl Into<String>) -> v1::Message {
    let result = v1::ToolResult { tool_call_id: call.id.clone(), name: call.name.clone(), parts: vec![text(words)], ..v1::ToolResult::default() };
    message(v1::Role::Tool, vec![part(v1::part::Kind::ToolResult(result))])
}

/// A tool that the application runs. `parameters` is the JSON Schema of its arguments.
pub fn function(name: impl Into<String>, description: impl Into<String>, parameters: impl ToString) -> v1::Tool {
    let function =
        v1::FunctionTool { name: name.into(), description: description.into(), parameters_json: parameters.to_string(), ..v1::FunctionTool::default() };
    v1::Tool { kind: Some(v1::tool::Kind::Function(function)), ..v1::Tool::default() }
}

/// Asks for JSON that follows a schema.
pub fn json_schema(name: impl Into<String>, schema: impl ToString) -> v1::OutputFormat {
    let format = v1::JsonSchemaFormat { name: name.into(), schema_json: schema.to_string(), ..v1::JsonSchemaFormat::default() };
    v1::OutputFormat { kind: Some(v1::output_format::Kind::JsonSchema(format)), ..v1::OutputFormat::default() }
}

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// The message itself.
    pub raw: v1::ChatReply,
}

impl Reply {
    fn parts(&self) -> impl Iterator<Item = &v1::part::Kind> {
        let message = self.raw.choices.first().and_then(|choice| choice.message.as_ref());
        message.into_iter().flat_map(|message| &message.parts).filter_map(|part| part.kind.as_ref())
    }

    /// The first answer as a message, to be put before the next turn.
    pub fn message(&self) -> v1::Message {
        let first = self.raw.choices.first().and_then(|choice| choice.message.clone());
        first.unwrap_or_else(|| message(v1::Role::Assistant, Vec::new()))
    }

    /// The text of the first answer.
    pub fn text(&self) -> String {
        self.parts().filter_map(|kind| if let v1::part::Kind::Text(text) = kind { Some(text.as_str()) } else { None }).collect()
    }

    /// What the model thought first, where it can be read.
    pub fn reasoning(&self) -> String {
        self.parts().filter_map(|kind| if let v1::part::Kind::Reasoning(thought) = kind { Some(thought.text.as_str()) } else { None }).collect()
    }

    /// Calls for the application to run.
    pub fn tool_calls(&self) -> Vec<&v1::ToolCall> {
        self.parts().filter_map(|kind| if let v1::part::Kind::ToolCall(call) = kind { Some(call) } else { None }).collect()
    }

    /// Why the first answer ended.
    pub fn finish_reason(&self) -> v1::FinishReason {
        self.raw.choices.first().map_or(v1::FinishReason::Unspecified, v1::Choice::finish_reason)
    }

    /// Tokens and money.
    pub fn usage(&self) -> v1::Usage {
        self.raw.usage.unwrap_or_default()
    }

    /// How the call went: every attempt, and what was left out.
    pub fn route(&self) -> v1::Route {
        self.raw.route.clone().unwrap_or_default()
    }

    /// What served, as `provider/model`.
    pub fn served_by(&self) -> &str {
        &self.raw.served_by
    }

    /// What it cost, US dollars, exactly.
    pub fn cost_usd(&self) -> String {
        usd(self.usage().cost_nano_usd)
    }
}

impl Headworks {
    /// Answers a chat in one piece.
    ///
    /// # Errors
    /// With the gateway's reason, or those of the connection.
    pub async fn complete(&self, chat: v1::Chat) -> Result<Reply, Error> {
        let answer = self.chat().complete(v1::CompleteRequest { chat: Some(chat), ..v1::CompleteRequest::default() }).await?;
        Ok(Reply { raw: answer.reply.unwrap_or_default() })
    }

    /// Answers a chat as it is written. The call is made with the first event asked for.
    pub fn stream(&self, chat: v1::Chat) -> crate::ChatStream {
        crate::ChatStream::new(self.clone(), chat)
    }
}
