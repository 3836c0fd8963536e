//! `ModelService`.

mod check;
mod facts;
mod write;

use facts::{origin, shown, texts};
use headworks_api::v1;
use headworks_core::{AuthScheme, Capability, Fault, Host, Reason, Status as Standing, Target};
use tonic::{Request, Response, Status, async_trait};

use super::{Doors, page, page_size, status};

pub(crate) use facts::supported;
pub use write::{Make, ModelBook};

fn refuse(fault: Fault) -> Status {
    status(&fault, None)
}

fn has(target: &Target, capability: &str) -> Result<bool, Fault> {
    let can = target.model.as_ref().map(|m| m.capabilities).unwrap_or_default();
    let value = match capability {
        "" => return Ok(true),
        "tools" => can.tools,
        "vision" => can.vision,
        "pdf" => can.pdf,
        "audio" => can.audio,
        "structured_output" => can.structured_output,
        "reasoning" => can.reasoning,
        other => return Err(Fault::invalid("capability", format!("\"{other}\" is none of tools, vision, pdf, audio, structured_output, reasoning"))),
    };
    Ok(value == Capability::Yes)
}

impl Doors {
    /// A model as callers see it now.
    fn model(&self, target: &Target) -> v1::Model {
        shown(target, self.0.models.version(&target.id.to_string()), headworks_engine::unix_seconds())
    }

    /// The policies that a key may ask for.
    fn policies_of(&self, tenant: &headworks_core::Tenant) -> Vec<String> {
        self.0.policies.names().iter().map(|name| format!("policy/{name}")).filter(|id| tenant.may_use(id)).collect()
    }
}

#[async_trait]
impl v1::model_service_server::ModelService for Doors {
    async fn list_models(&self, request: Request<v1::ListModelsRequest>) -> Result<Response<v1::ListModelsResponse>, Status> {
        let tenant = self.tenant(&request)?;
        let asked = request.into_inner();
        let wanted_origin =
            v1::ModelOrigin::try_from(asked.origin).map_err(|_| refuse(Fault::invalid("origin", "is no ModelOrigin; BUILT_IN, CONFIG and API are")))?;
        let catalog = self.0.shared.catalog.load_full();
        let mut targets = Vec::new();
        for target in catalog.targets() {
            let hidden = target.model.as_ref().is_some_and(|m| m.status == Standing::Hidden);
            let wanted = (asked.provider.is_empty() || *asked.provider == *target.id.provider)
                && (asked.include_hidden || !hidden)
                && (wanted_origin == v1::ModelOrigin::Unspecified || target.model.as_ref().is_some_and(|m| origin(m.origin) == wanted_origin))
                && (asked.include_unavailable || (target.host.configured && supported(target)))
                && headworks_policy::usable(target, &tenant);
            if wanted && has(target, &asked.capability).map_err(|fault| status(&fault, None))? {
                targets.push(target.clone());
            }
        }
        targets.sort_by_cached_key(|target| target.id.to_string());
        let (targets, next_page_token) = page(targets, page_size(asked.page_size)?, &asked.page_token, |t| t.id.to_string());
        let policies = if asked.page_token.is_empty() { self.policies_of(&tenant) } else { Vec::new() };
        Ok(Response::new(v1::ListModelsResponse { models: targets.iter().map(|t| self.model(t)).collect(), next_page_token, policies }))
    }

    async fn get_model(&self, request: Request<v1::GetModelRequest>) -> Result<Response<v1::GetModelResponse>, Status> {
        let tenant = self.tenant(&request)?;
        let id = &request.get_ref().id;
        let catalog = self.0.shared.catalog.load_full();
        let found = catalog.target(id).filter(|t| t.known).or_else(|| catalog.bare(id)).filter(|t| headworks_policy::usable(t, &tenant));
        let target = found.ok_or_else(|| {
            let nearest = catalog.nearest(id);
            let hint = if nearest.is_empty() { String::new() } else { format!("; did you mean {}?", nearest.join(" or ")) };
            status(&Fault::new(Reason::ModelNotFound, format!("no model \"{id}\" that this key may use{hint}")), None)
        })?;
        Ok(Response::new(v1::GetModelResponse { model: Some(self.model(&target)) }))
    }

    async fn list_providers(&self, request: Request<v1::ListProvidersRequest>) -> Result<Response<v1::ListProvidersResponse>, Status> {
        self.tenant(&request)?;
        let asked = request.into_inner();
        let catalog = self.0.shared.catalog.load_full();
        let mut hosts: Vec<&Host> = catalog.hosts().map(|host| &**host).collect();
        hosts.sort_by(|a, b| a.id.cmp(&b.id));
        let (hosts, next_page_token) = page(hosts, page_size(asked.page_size)?, &asked.page_token, |host| host.id.to_string());
        let providers = hosts
            .into_iter()
            .map(|host| v1::Provider {
                id: host.id.to_string(),
                name: host.name.to_string(),
                dialect: host.dialect.map_or(&*host.dialect_word, |d| d.as_str()).to_owned(),
                supported: host.dialect.is_some_and(|d| headworks_providers::dialect(d).is_some()) && !matches!(host.auth, AuthScheme::Unsupported(_)),
                configured: host.configured,
                credential_env: host.key_env.first().map(ToString::to_string).unwrap_or_default(),
                base_url: host.base_url.to_string(),
                missing: host.options.missing.as_deref().unwrap_or_default().to_owned(),
                regions: texts(&host.regions),
                model_count: i32::try_from(catalog.targets().filter(|t| t.id.provider == host.id).count()).unwrap_or(i32::MAX),
            })
            .collect();
        Ok(Response::new(v1::ListProvidersResponse { providers, next_page_token }))
    }

    async fn check_chat(&self, request: Request<v1::CheckChatRequest>) -> Result<Response<v1::CheckChatResponse>, Status> {
        let tenant = self.tenant(&request)?;
        self.check_chat_of(request.into_inner(), &tenant).map(Response::new).map_err(refuse)
    }

    async fn create_model(&self, request: Request<v1::CreateModelRequest>) -> Result<Response<v1::CreateModelResponse>, Status> {
        self.admin(&request)?;
        let model = self.said_first(request.into_inner()).await.map_err(refuse)?;
        Ok(Response::new(v1::CreateModelResponse { model: Some(model) }))
    }

    async fn update_model(&self, request: Request<v1::UpdateModelRequest>) -> Result<Response<v1::UpdateModelResponse>, Status> {
        self.admin(&request)?;
        let model = self.said_again(request.into_inner()).await.map_err(refuse)?;
        Ok(Response::new(v1::UpdateModelResponse { model: Some(model) }))
    }

    async fn delete_model(&self, request: Request<v1::DeleteModelRequest>) -> Result<Response<v1::DeleteModelResponse>, Status> {
        self.admin(&request)?;
        self.unsaid(request.into_inner()).await.map_err(refuse)?;
        Ok(Response::new(v1::DeleteModelResponse {}))
    }
}
