//! What the README shows.
#![allow(clippy::needless_update)]

use futures_util::TryStreamExt;
use headworks_client::{Error, Headworks, chat, function, tool_result, user, v1};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Headworks::from_env()?;
    println!("{}", client.complete(chat("sandbox/echo", [user("Hello")])).await?.text());
    let mut text = client.stream(chat("sandbox/echo", [user("one word after another")])).text();
    while let Some(piece) = text.try_next().await? {
        print!("{piece}");
    }

    let tools = vec![function("get_weather", "Tells the weather", r#"{"type":"object","properties":{"city":{"type":"string"}}}"#)];
    let mut messages = vec![user("Oslo?")];
    let asked = client.complete(v1::Chat { tools: tools.clone(), ..chat("sandbox/tools", messages.clone()) }).await?;
    messages.push(asked.message());
    messages.extend(asked.tool_calls().into_iter().map(|call| tool_result(call, "sunny")));
    println!("{}", client.complete(v1::Chat { tools, ..chat("sandbox/tools", messages) }).await?.text());

    let targets = ["sandbox/error-500", "sandbox/echo"].map(|model| v1::PolicyTarget { model: model.into(), ..Default::default() });
    let kind = Some(v1::policy::Kind::Fallback(v1::FallbackChain { targets: targets.into(), ..Default::default() }));
    client
        .policies()
        .create_policy(v1::CreatePolicyRequest { policy: Some(v1::Policy { name: "safe".into(), kind, ..Default::default() }), ..Default::default() })
        .await?;
    let reply = client.complete(chat("policy/safe", [user("Hello")])).await?;
    println!("{} {} tokens {} USD", reply.served_by(), reply.usage().completion_tokens, reply.cost_usd());
    for record in client.usage().list_requests(v1::ListRequestsRequest { page_size: 5, ..Default::default() }).await?.requests {
        println!("{} {}", record.id, record.served_by);
    }
    Ok(())
}
