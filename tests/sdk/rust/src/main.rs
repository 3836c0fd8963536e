//! The scenarios by the Rust client.
// The schema grows: a literal that is whole today is not tomorrow.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::needless_update)]

use std::{
    error::Error as StdError,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use base64::Engine;
use futures_util::{StreamExt, TryStreamExt};
use headworks_client::{
    ChatStream, Code, Error, Headworks, Reply, chat, function, image, json_schema, nano_usd, reason, text, tool_result, user,
    v1::{self, AttemptOutcome},
};
use serde_json::Value;

type Outcome = Result<(), Box<dyn StdError>>;

macro_rules! check {
    ($good:expr) => {
        if !$good {
            return Err(format!("not so: {} (line {})", stringify!($good), line!()).into());
        }
    };
}

struct Bench {
    client: Headworks,
    fake: Headworks,
    serial: AtomicU32,
}

fn word<'a>(s: &'a Value, name: &str) -> &'a str {
    s[name].as_str().unwrap_or_else(|| panic!("no {name} in {s}"))
}

fn number(s: &Value, name: &str) -> i64 {
    s[name].as_i64().unwrap_or_else(|| panic!("no {name} in {s}"))
}

fn words(s: &Value) -> Vec<&str> {
    s.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn ask(s: &Value) -> v1::Chat {
    chat(word(s, "model"), [user(word(s, "prompt"))])
}

fn failure<T>(result: Result<T, Error>) -> Result<Error, Box<dyn StdError>> {
    result.err().ok_or_else(|| "no error came".into())
}

fn minute() -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds: 60, nanos: 0 })
}

async fn numbers(stream: &mut ChatStream) -> Result<Vec<i64>, Error> {
    let mut all = Vec::new();
    while let Some(event) = stream.next().await {
        all.push(event?.sequence);
    }
    Ok(all)
}

impl Bench {
    fn unique(&self) -> String {
        format!("rs{}-{}", std::process::id(), self.serial.fetch_add(1, Ordering::Relaxed))
    }

    async fn cancelled(&self, id: &str) -> Outcome {
        for _ in 0..100 {
            match self.client.usage().get_request(v1::GetRequestRequest { id: id.to_owned(), ..v1::GetRequestRequest::default() }).await {
                Ok(got) => {
                    check!(got.request.unwrap_or_default().outcome() == AttemptOutcome::Cancelled);
                    return Ok(());
                }
                Err(error) if error.reason() == reason::NOT_FOUND => tokio::time::sleep(Duration::from_millis(100)).await,
                Err(error) => return Err(error.into()),
            }
        }
        Err(format!("no record of {id}").into())
    }

    async fn tries(&self, model: &str, test: &str) -> Result<i64, Box<dyn StdError>> {
        let ask = v1::Chat { user: model.to_owned(), ..chat("tries", []) };
        Ok(self.fake.with_metadata("x-test", test)?.complete(ask).await?.text().parse()?)
    }

    async fn chain(&self, s: &Value) -> Result<String, Box<dyn StdError>> {
        let name = format!("sdk-{}", self.unique());
        let targets = words(&s["targets"]).into_iter().map(|model| v1::PolicyTarget { model: model.to_owned(), ..v1::PolicyTarget::default() });
        let kind = Some(v1::policy::Kind::Fallback(v1::FallbackChain { targets: targets.collect(), ..v1::FallbackChain::default() }));
        let policy = Some(v1::Policy { name: name.clone(), kind, ..v1::Policy::default() });
        let made =
            self.client.policies().create_policy(v1::CreatePolicyRequest { policy, ..v1::CreatePolicyRequest::default() }).await?.policy.unwrap_or_default();
        let got =
            self.client.policies().get_policy(v1::GetPolicyRequest { name: name.clone(), ..v1::GetPolicyRequest::default() }).await?.policy.unwrap_or_default();
        if made.version != 1 || got.etag != made.etag {
            return Err(format!("made {made:?}, got {got:?}").into());
        }
        Ok(name)
    }

    async fn answer(&self, streamed: bool, chat: v1::Chat) -> Result<Reply, Error> {
        if streamed { self.client.stream(chat).collect().await } else { self.client.complete(chat).await }
    }

    async fn talk(&self, id: &str, s: &Value) -> Outcome {
        let client = &self.client;
        match id {
            "complete" => {
                let reply = client.complete(ask(s)).await?;
                check!(reply.text() == word(s, "text") && reply.served_by() == word(s, "model"));
                check!(reply.finish_reason() == v1::FinishReason::Stop && reply.usage().prompt_tokens > 0);
                check!(reply.usage().cost_nano_usd > 0 && nano_usd(&reply.cost_usd()) == Some(reply.usage().cost_nano_usd));
                let route = reply.route();
                check!(route.attempts.len() == 1 && route.attempts[0].outcome() == AttemptOutcome::Success);
            }
            "stream" => {
                let seen = numbers(&mut client.stream(ask(s))).await?;
                check!(seen.iter().copied().eq(1..=i64::try_from(seen.len())?));
                let events: Vec<_> = client.stream(ask(s)).events().try_collect().await?;
                check!(matches!(events[0].kind, Some(v1::stream_event::Kind::Started(_))));
                check!(matches!(events[events.len() - 1].kind, Some(v1::stream_event::Kind::Completed(_))));
                let pieces: Vec<String> = client.stream(ask(s)).text().try_collect().await?;
                check!(pieces.len() > 1 && pieces.concat() == word(s, "text"));
                let reply = client.stream(ask(s)).collect().await?;
                check!(reply.text() == word(s, "text") && reply.usage().cost_nano_usd > 0);
            }
            "tools" => {
                let schema = r#"{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"#;
                for streamed in [false, true] {
                    let chat = v1::Chat { tools: vec![function(word(s, "tool"), "Tells the weather", schema)], parallel_tool_calls: Some(false), ..ask(s) };
                    let reply = self.answer(streamed, chat.clone()).await?;
                    check!(reply.tool_calls().len() == 1 && reply.finish_reason() == v1::FinishReason::ToolCalls);
                    let call = reply.tool_calls()[0].clone();
                    check!(call.name == word(s, "tool") && serde_json::from_str::<Value>(&call.arguments_json)?["city"].is_string());
                    let mut next = chat;
                    next.messages.extend([reply.message(), tool_result(&call, word(s, "result"))]);
                    let after = self.answer(streamed, next).await?;
                    check!(after.text().contains(word(s, "tool")) && after.tool_calls().is_empty());
                }
            }
            "structured" => {
                let reply = client.complete(v1::Chat { output: Some(json_schema("city", &s["schema"])), ..ask(s) }).await?;
                check!(serde_json::from_str::<Value>(&reply.text())?[word(s, "field")].is_string());
            }
            "image" => {
                let png = base64::prelude::BASE64_STANDARD.decode(word(s, "png"))?;
                let reply = client.complete(chat(word(s, "model"), [user(word(s, "prompt")).with(image(png, "image/png"))])).await?;
                check!(reply.text() == word(s, "prompt") && reply.usage().prompt_tokens >= number(s, "min_input_tokens"));
            }
            "large" => {
                let data = vec![b'x'; usize::try_from(number(s, "word_bytes"))?];
                let reply = client.complete(chat(word(s, "model"), [user("look").with(image(data, "image/png"))])).await?;
                check!(reply.text() == "look" && text("look") == "look".into());
            }
            "cancel" => {
                let mut left = client.stream(ask(s));
                left.next().await.ok_or("no event")??;
                let id = left.so_far().raw.request_id.clone();
                drop(left);
                self.cancelled(&id).await?;
                let mut told = client.stream(ask(s));
                told.next().await.ok_or("no event")??;
                let id = told.so_far().raw.request_id.clone();
                told.cancel().await?;
                self.cancelled(&id).await?;
            }
            "deadline" => {
                let timeout = Duration::from_millis(u64::try_from(number(s, "timeout_ms"))?);
                let error = failure(client.with_timeout(timeout).complete(ask(s)).await)?;
                check!(error.reason() == word(s, "reason") && error.code() == Code::DeadlineExceeded);
            }
            _ => return self.trouble(id, s).await,
        }
        Ok(())
    }

    async fn trouble(&self, id: &str, s: &Value) -> Outcome {
        let (client, fake) = (&self.client, &self.fake);
        match id {
            "resume-live" => {
                let mut stream = client.stream(v1::Chat { resume_window: minute(), ..ask(s) });
                let seen = numbers(&mut stream).await?;
                let again = v1::ResumeRequest { stream_id: stream.stream_id().to_owned(), after_sequence: 3, ..v1::ResumeRequest::default() };
                let rest: Vec<_> = client.streams().resume(again).try_collect().await?;
                let rest: Vec<i64> = rest.into_iter().filter_map(|r| r.event).map(|e| e.sequence).collect();
                check!(rest == seen[3..]);
            }
            "resume" => {
                let mut stream = fake.stream(chat(word(s, "model"), [user("x")]));
                check!(numbers(&mut stream).await? == (1..=9).collect::<Vec<_>>());
                check!(stream.so_far().text() == word(s, "text") && stream.resumes() == 2);
            }
            "no-resume" => {
                let once = v1::Chat { resume_window: Some(prost_types::Duration::default()), ..chat(word(s, "model"), [user("x")]) };
                let mut stream = fake.stream(once);
                let error = failure(stream.collect().await)?;
                check!(error.lost() && stream.so_far().text() == word(s, "partial") && stream.resumes() == 0);
            }
            "reasons" => {
                for case in s["cases"].as_array().into_iter().flatten() {
                    let error = failure(client.complete(chat(word(case, "model"), [user("x")])).await)?;
                    check!(error.reason() == word(case, "reason") && error.from_gateway() && error.metadata().contains_key("attempts"));
                }
                let stranger = Headworks::builder().api_key("wrong").build()?;
                let error = failure(stranger.complete(chat("sandbox/echo", [user("x")])).await)?;
                check!(error.reason() == word(s, "wrong_key") && !error.retryable());
                let error = failure(client.complete(chat("sandbox/echo", [])).await)?;
                check!(error.reason() == word(s, "no_messages") && error.violations()[0].field.contains("messages"));
            }
            "retry" => {
                for limit in [2, 1] {
                    let test = self.unique();
                    let answer = fake.with_metadata("x-test", &test)?.with_max_retries(limit).complete(chat(word(s, "model"), [user("x")])).await;
                    check!(if limit == 2 { answer?.text() == word(s, "text") } else { failure(answer)?.reason() == reason::OVERLOADED });
                    check!(self.tries(word(s, "model"), &test).await? == i64::from(limit) + 1);
                }
                check!(fake.complete(chat("agent", [user("x")])).await?.text().starts_with("headworks-rust/"));
            }
            "no-retry" => {
                for model in words(&s["models"]) {
                    let test = self.unique();
                    failure(fake.with_metadata("x-test", &test)?.complete(chat(model, [user("x")])).await)?;
                    check!(self.tries(model, &test).await? == number(s, "tries"));
                }
            }
            _ => return self.admin(id, s).await,
        }
        Ok(())
    }

    async fn admin(&self, id: &str, s: &Value) -> Outcome {
        let client = &self.client;
        match id {
            "paging" => {
                let (mark, page_size) = (self.unique() + "/", i32::try_from(number(s, "page_size"))?);
                for at in 0..number(s, "keys") {
                    let key = Some(v1::Key { name: format!("{mark}{at}"), ..v1::Key::default() });
                    client.keys().create_key(v1::CreateKeyRequest { key, ..v1::CreateKeyRequest::default() }).await?;
                }
                let request = v1::ListKeysRequest { page_size, ..v1::ListKeysRequest::default() };
                let keys: Vec<v1::Key> = client.keys().list_keys_all(request.clone()).try_collect().await?;
                check!(keys.iter().filter(|key| key.name.starts_with(&mark)).count() == usize::try_from(number(s, "keys"))?);
                check!(client.keys().list_keys(request).await?.keys.len() == usize::try_from(page_size)?);
            }
            "policy" => {
                let name = self.chain(s).await?;
                let reply = client.complete(chat(format!("policy/{name}"), [user(word(s, "prompt"))])).await?;
                check!(reply.text() == word(s, "text") && reply.served_by() == word(s, "served_by"));
                check!(reply.route().attempts.len() == usize::try_from(number(s, "attempts"))?);
                let all: Vec<v1::Policy> = client.policies().list_policies_all(v1::ListPoliciesRequest::default()).try_collect().await?;
                check!(all.iter().any(|policy| policy.name == name));
                client.policies().delete_policy(v1::DeletePolicyRequest { name, ..v1::DeletePolicyRequest::default() }).await?;
            }
            "explain" => {
                let chat = Some(chat(format!("policy/{}", self.chain(s).await?), [user("x")]));
                let told = client.policies().explain_route(v1::ExplainRouteRequest { chat, ..v1::ExplainRouteRequest::default() }).await?;
                check!(told.targets.iter().map(|t| t.target.as_str()).take(2).collect::<Vec<_>>() == words(&s["targets"]));
            }
            "budget" => {
                let budget = Some(v1::Budget { limit_nano_usd: number(s, "limit_nano_usd"), ..v1::Budget::default() });
                let key = Some(v1::Key { name: "poor".to_owned(), budget, ..v1::Key::default() });
                let made = client.keys().create_key(v1::CreateKeyRequest { key, ..v1::CreateKeyRequest::default() }).await?;
                let poor = Headworks::builder().api_key(made.secret).build()?;
                let error = failure(poor.complete(chat(word(s, "model"), [user("x")])).await)?;
                check!(error.reason() == word(s, "reason") && !error.retryable() && error.code() == Code::ResourceExhausted);
            }
            "usage" => {
                let reply = client.complete(v1::Chat { tags: vec!["sdk".to_owned()], ..ask(s) }).await?;
                let request = v1::GetRequestRequest { id: reply.raw.request_id.clone(), ..v1::GetRequestRequest::default() };
                let kept = client.usage().get_request(request).await?.request.unwrap_or_default();
                check!(kept.usage.unwrap_or_default().cost_nano_usd == reply.usage().cost_nano_usd);
                check!(kept.tags == ["sdk"] && kept.served_by == word(s, "model"));
            }
            "usage-query" => {
                client.complete(chat("sandbox/echo", [user("x")])).await?;
                let query = v1::QueryUsageRequest { group_by: vec![word(s, "group_by").to_owned()], ..v1::QueryUsageRequest::default() };
                let rows: Vec<v1::UsageRow> = client.usage().query_usage_all(query).try_collect().await?;
                check!(rows.iter().any(|row| row.request_count > 0 && row.usage.unwrap_or_default().cost_nano_usd > 0));
            }
            "watch" => {
                let mut watch = client.with_timeout(Duration::from_secs(20)).usage().watch_requests(v1::WatchRequestsRequest::default());
                let mut told = std::pin::pin!(watch.next());
                for _ in 0..20 {
                    tokio::select! {
                        told = &mut told => return told.ok_or("nothing was told")?.map(|_| ()).map_err(Into::into),
                        () = tokio::time::sleep(Duration::from_millis(500)) => {}
                    }
                    client.complete(ask(s)).await?;
                }
                return Err("nothing was told".into());
            }
            _ => return Err("no such scenario".into()),
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Outcome {
    let variable = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let spec: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(variable("HEADWORKS_SCENARIOS")?)?)?;
    let fake = Headworks::builder().base_url(variable("HEADWORKS_FAKE_URL")?).api_key("k").build()?;
    let bench = Bench { client: Headworks::from_env()?, fake, serial: AtomicU32::new(0) };
    for s in &spec {
        let id = word(s, "id");
        match bench.talk(id, s).await {
            Ok(()) => println!("PASS {id}"),
            Err(error) if error.downcast_ref::<Error>().is_some_and(|e| e.reason() == reason::NOT_IMPLEMENTED) => println!("UNSERVED {id}"),
            Err(error) => println!("FAIL {id}: {error}"),
        }
    }
    Ok(())
}
