//! `CheckChat`: what each target would lose of a chat, by the judgement that a call would meet.

use std::sync::Arc;

use headworks_api::v1;
use headworks_core::{ChatRequest, Fault, Loss, LossKind, ModelId, Reason, Target, Tenant, Work};
use headworks_policy::Refusal;

use crate::grpc::{Doors, convert, records};

/// The most models that one question may name.
const MOST: usize = 100;

fn kind(kind: LossKind) -> i32 {
    (match kind {
        LossKind::Parameter => v1::LossKind::Parameter,
        LossKind::SchemaKeyword => v1::LossKind::SchemaKeyword,
        LossKind::Part => v1::LossKind::Part,
        LossKind::Tool => v1::LossKind::Tool,
        LossKind::Output => v1::LossKind::OutputFormat,
    }) as i32
}

fn shown(loss: Loss) -> v1::Loss {
    v1::Loss { kind: kind(loss.kind), name: loss.name.to_string(), message: loss.message.to_string(), essential: loss.essential }
}

/// What is asked of one name.
struct Check<'a> {
    doors: &'a Doors,
    asked: &'a str,
    work: Work,
}

impl Check<'_> {
    fn losses(&self, target: &Target) -> Vec<v1::Loss> {
        (self.doors.0.shared.losses)(target, &self.work).into_iter().map(shown).collect()
    }

    fn target(&self, id: &ModelId) -> Option<Arc<Target>> {
        if id.provider.is_empty() { None } else { self.doors.0.shared.catalog.load().target(&id.to_string()) }
    }

    fn warning(&self, target: &Target) -> String {
        headworks_policy::warning(target, headworks_engine::unix_seconds()).map(|text| text.to_string()).unwrap_or_default()
    }

    fn tried(&self, target: &Target) -> v1::CheckedTarget {
        let losses = self.losses(target);
        let outcome = if losses.is_empty() { v1::CheckOutcome::Sent } else { v1::CheckOutcome::SentWithLoss };
        v1::CheckedTarget {
            asked: self.asked.to_owned(),
            target: target.id.to_string(),
            ok: losses.is_empty(),
            outcome: outcome as i32,
            losses,
            warning: self.warning(target),
            ..v1::CheckedTarget::default()
        }
    }

    fn left_out(&self, id: &ModelId, outcome: v1::CheckOutcome, reason: Reason, message: &str) -> v1::CheckedTarget {
        // Of a target that is left out for another reason nobody asks what it would lose.
        let target = self.target(id).filter(|_| reason == Reason::CapabilityMissing);
        v1::CheckedTarget {
            asked: self.asked.to_owned(),
            target: if id.provider.is_empty() { id.model.to_string() } else { id.to_string() },
            ok: false,
            outcome: outcome as i32,
            losses: target.as_ref().map(|target| self.losses(target)).unwrap_or_default(),
            warning: target.as_ref().map(|target| self.warning(target)).unwrap_or_default(),
            reason: records::reason(reason),
            message: message.to_owned(),
        }
    }

    fn refused(&self, refusal: &Refusal) -> Vec<v1::CheckedTarget> {
        let fault = &refusal.fault;
        let at = fault.target.clone().unwrap_or_else(|| ModelId::new("", self.asked));
        let mut told: Vec<_> = refusal.skipped.iter().map(|s| self.left_out(&s.target, v1::CheckOutcome::Skipped, s.reason, &s.message)).collect();
        // Where nothing was skipped, or one target alone made it a refusal, that one says so.
        match told.iter_mut().find(|one| one.target == at.to_string() || refusal.skipped.len() == 1) {
            Some(one) => one.outcome = v1::CheckOutcome::Refused as i32,
            None => told.insert(0, self.left_out(&at, v1::CheckOutcome::Refused, fault.reason, &fault.message)),
        }
        told
    }
}

impl Doors {
    /// What would become of a chat at each target. The plan is that of a call.
    pub(super) fn check_chat_of(&self, asked: v1::CheckChatRequest, tenant: &Arc<Tenant>) -> Result<v1::CheckChatResponse, Fault> {
        if asked.models.len() > MOST {
            return Err(Fault::invalid("models", format!("names more than {MOST} models; ask in pieces")));
        }
        let mut chat = asked.chat;
        if let (Some(chat), Some(first)) = (chat.as_mut(), asked.models.first())
            && chat.model.is_empty()
        {
            chat.model.clone_from(first);
        }
        let request = convert::chat(chat, false)?;
        let names: Vec<Arc<str>> = if asked.models.is_empty() { vec![request.model.clone()] } else { asked.models.iter().map(|m| m.as_str().into()).collect() };
        let catalog = self.0.shared.catalog.load_full();
        let mut targets = Vec::new();
        for name in names {
            let mut request = ChatRequest { model: name.clone(), ..request.clone() };
            if !asked.models.is_empty() {
                request.routing.models = Vec::new();
            }
            let check = Check { doors: self, asked: &name, work: Work::from(request) };
            match self.0.shared.plan("", &check.work, tenant, &catalog) {
                Ok(plan) => {
                    targets.extend(plan.targets.iter().map(|planned| check.tried(&planned.target)));
                    targets.extend(plan.skipped.iter().map(|s| check.left_out(&s.target, v1::CheckOutcome::Skipped, s.reason, &s.message)));
                }
                Err(refusal) => targets.extend(check.refused(&refusal)),
            }
        }
        Ok(v1::CheckChatResponse { targets })
    }
}
