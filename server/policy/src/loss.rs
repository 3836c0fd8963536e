//! What becomes of targets that cannot express all of a request.

use headworks_core::{ChatRequest, Fault, Loss, OnLoss, Output, Part, PartKind, Reason, Skipped, Target, Tool, ToolChoice, Violation, Work};

use crate::{Ask, Plan, World};

/// What the request wants, else its key, else that parameters are left out with a note.
pub(crate) fn wanted(ask: &Ask<'_>) -> OnLoss {
    let routing = ask.work.routing();
    let said = routing.on_loss.or(ask.tenant.on_loss).unwrap_or(OnLoss::Drop);
    if said == OnLoss::Drop && routing.require_parameters { OnLoss::Skip } else { said }
}

/// Takes out the targets that may not be tried, or says why the call is refused. Encoders are asked only where a target may
/// be unable to take what cannot be left out, or where nothing at all may be.
pub(crate) fn settle(plan: &mut Plan, ask: &Ask<'_>, world: &World<'_>) -> Result<Option<Fault>, Fault> {
    let wanted = wanted(ask);
    let required = ask.work.routing().require_parameters;
    let mut first = None;
    let mut refused = None;
    let skipped = &mut plan.skipped;
    plan.targets.retain(|planned| {
        let target = &planned.target;
        if refused.is_some() || (wanted == OnLoss::Drop && !may_lack(target, ask.work)) {
            return true;
        }
        let losses = (world.losses)(target, ask.work);
        let lost = losses.iter().find(|loss| loss.essential || wanted != OnLoss::Drop);
        let Some(lost) = lost else { return true };
        if wanted == OnLoss::Refuse {
            refused = Some(refusal(target, lost));
            return true;
        }
        let message = match (lost.essential, required) {
            (true, _) => lost.message.to_string(),
            (false, true) => format!("{}: require_parameters is set, but {}", target.id, lost.message),
            (false, false) => format!("{}: on_loss is SKIP, and {}", target.id, lost.message),
        };
        let fault = lacking(target, lost, message.clone());
        skipped.push(Skipped { target: target.id.clone(), reason: fault.reason, message });
        first.get_or_insert(fault);
        false
    });
    refused.map_or(Ok(first), Err)
}

/// The refusal of a call that says REFUSE.
pub(crate) fn refusal(target: &Target, lost: &Loss) -> Fault {
    let message = format!("{}: {}; on_loss is REFUSE: leave it out, choose another target, or allow DROP or SKIP", lost.name, lost.message);
    lacking(target, lost, message)
}

fn lacking(target: &Target, lost: &Loss, message: String) -> Fault {
    let mut fault = Fault::new(Reason::CapabilityMissing, message).because(headworks_core::Cause::Unfit).at(&target.id);
    fault.violations = Box::new([Violation { field: lost.name.to_string(), description: lost.message.to_string() }]);
    fault
}

/// Whether a target may be unable to take something that cannot be left out. Cheap, and false for plain requests.
fn may_lack(target: &Target, work: &Work) -> bool {
    match work {
        Work::Chat(request) => unusual(request) || (!request.tools.is_empty() && target.host.quirks.rejects.iter().any(|name| &**name == "tools")),
        // Whoever embeds or counts says so at the first try: nothing is held for it that would be lost.
        Work::Embed(_) | Work::CountTokens(_) => false,
    }
}

fn unusual(request: &ChatRequest) -> bool {
    let tools = !request.tools.is_empty()
        && (request.output != Output::Text
            || matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)))
            || request.tools.iter().any(|tool| matches!(tool, Tool::Hosted { .. })));
    fn plain(part: &Part) -> bool {
        match &part.kind {
            PartKind::Text(_) | PartKind::ToolCall { .. } | PartKind::Reasoning { .. } | PartKind::Refusal(_) => true,
            PartKind::ToolResult { parts, .. } => parts.iter().all(plain),
            PartKind::Image { .. } | PartKind::File { .. } | PartKind::Audio { .. } | PartKind::Opaque(_) => false,
        }
    }
    tools
        || request.sampling.n.is_some_and(|n| n > 1)
        || matches!(request.output, Output::Schema { .. })
        || request.extra.contains_key("mcp_servers")
        || !request.messages.iter().flat_map(|message| &message.parts).all(plain)
}
