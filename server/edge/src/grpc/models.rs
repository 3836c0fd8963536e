//! `ModelService`.

use headworks_api::v1;
use headworks_core::{AuthScheme, CacheKind, Capability, Fault, Host, Price, Rates, Reason, Status as Standing, Target};
use tonic::{Request, Response, Status, async_trait};

use super::{Doors, page, page_size, status};

fn capability(value: Capability) -> i32 {
    (match value {
        Capability::Yes => v1::Capability::Yes,
        Capability::No => v1::Capability::No,
        Capability::Unknown => v1::Capability::Unspecified,
    }) as i32
}

fn rates(r: &Rates) -> v1::Rates {
    v1::Rates {
        input_nano_usd: r.input,
        output_nano_usd: r.output,
        cache_read_nano_usd: r.cache_read,
        cache_write_5m_nano_usd: r.cache_write_5m,
        cache_write_1h_nano_usd: r.cache_write_1h,
        cache_write_12h_nano_usd: r.cache_write_12h,
        reasoning_nano_usd: r.reasoning,
        input_audio_nano_usd: r.input_audio,
        output_audio_nano_usd: r.output_audio,
        cache_read_audio_nano_usd: r.cache_read_audio,
        input_image_nano_usd: r.input_image,
        output_image_nano_usd: r.output_image,
    }
}

fn price(p: &Price) -> v1::Price {
    v1::Price {
        base: Some(rates(&p.base)),
        tiers: p.tiers.iter().map(|t| v1::PriceTier { above_input_tokens: t.above_input_tokens, rates: Some(rates(&t.rates)) }).collect(),
        service_tiers: p.service_tiers.iter().map(|(name, r)| (name.to_string(), rates(r))).collect(),
    }
}

fn texts(list: &[std::sync::Arc<str>]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn supported(target: &Target) -> bool {
    target.dialect.is_some_and(|d| headworks_providers::dialect(d).is_some()) && !matches!(target.host.auth, AuthScheme::Unsupported(_))
}

fn shown(target: &Target) -> v1::Model {
    let facts = target.model.as_deref();
    let can = facts.map(|m| m.capabilities).unwrap_or_default();
    let word = facts.and_then(|m| m.foreign_dialect.as_deref()).unwrap_or(&target.host.dialect_word);
    v1::Model {
        id: target.id.to_string(),
        provider: target.id.provider.to_string(),
        upstream_name: target.upstream_name.to_string(),
        aliases: facts.map(|m| texts(&m.aliases)).unwrap_or_default(),
        mode: facts.map_or("chat", |m| &m.mode).to_owned(),
        dialect: target.dialect.map_or(word, |d| d.as_str()).to_owned(),
        supported: supported(target),
        configured: target.host.configured,
        context_window: facts.and_then(|m| m.context_window),
        max_input_tokens: facts.and_then(|m| m.max_input_tokens),
        max_output_tokens: facts.and_then(|m| m.max_output_tokens),
        price: facts.and_then(|m| m.price.as_deref()).map(price),
        capabilities: Some(v1::Capabilities {
            tools: capability(can.tools),
            parallel_tools: capability(can.parallel_tools),
            vision: capability(can.vision),
            pdf: capability(can.pdf),
            audio: capability(can.audio),
            structured_output: capability(can.structured_output),
            reasoning: capability(can.reasoning),
            streaming: capability(can.streaming),
            sampling: capability(can.sampling),
            prompt_caching: match can.caching {
                CacheKind::None => "none",
                CacheKind::Automatic => "automatic",
                CacheKind::Explicit => "explicit",
                CacheKind::Unknown => "",
            }
            .to_owned(),
        }),
        status: match facts.map(|m| m.status) {
            None => v1::ModelStatus::Unspecified,
            Some(Standing::Active) => v1::ModelStatus::Active,
            Some(Standing::Preview) => v1::ModelStatus::Preview,
            Some(Standing::Deprecated) => v1::ModelStatus::Deprecated,
            Some(Standing::Hidden) => v1::ModelStatus::Hidden,
        } as i32,
        deprecation_date: facts.and_then(|m| m.deprecation_date.as_deref()).unwrap_or_default().to_owned(),
        regions: facts.map(|m| texts(&m.regions)).unwrap_or_default(),
    }
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

#[async_trait]
impl v1::model_service_server::ModelService for Doors {
    async fn list_models(&self, request: Request<v1::ListModelsRequest>) -> Result<Response<v1::ListModelsResponse>, Status> {
        let tenant = self.tenant(&request)?;
        let asked = request.into_inner();
        let catalog = self.0.shared.catalog.load_full();
        let mut targets = Vec::new();
        for target in catalog.targets() {
            let hidden = target.model.as_ref().is_some_and(|m| m.status == Standing::Hidden);
            let wanted = (asked.provider.is_empty() || *asked.provider == *target.id.provider)
                && (asked.include_hidden || !hidden)
                && (asked.include_unavailable || (target.host.configured && supported(target)))
                && tenant.may_use(&target.id.to_string());
            if wanted && has(target, &asked.capability).map_err(|fault| status(&fault, None))? {
                targets.push(target.clone());
            }
        }
        targets.sort_by_cached_key(|target| target.id.to_string());
        let (targets, next_page_token) = page(targets, page_size(asked.page_size)?, &asked.page_token, |t| t.id.to_string());
        Ok(Response::new(v1::ListModelsResponse { models: targets.iter().map(|t| shown(t)).collect(), next_page_token }))
    }

    async fn get_model(&self, request: Request<v1::GetModelRequest>) -> Result<Response<v1::GetModelResponse>, Status> {
        let tenant = self.tenant(&request)?;
        let id = &request.get_ref().id;
        let catalog = self.0.shared.catalog.load_full();
        let found = catalog.target(id).filter(|t| t.known).or_else(|| catalog.bare(id)).filter(|t| tenant.may_use(&t.id.to_string()));
        let target = found.ok_or_else(|| {
            let nearest = catalog.nearest(id);
            let hint = if nearest.is_empty() { String::new() } else { format!("; did you mean {}?", nearest.join(" or ")) };
            status(&Fault::new(Reason::ModelNotFound, format!("no model \"{id}\" that this key may use{hint}")), None)
        })?;
        Ok(Response::new(v1::GetModelResponse { model: Some(shown(&target)) }))
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
}
