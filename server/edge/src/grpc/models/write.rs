//! Models by API: what an admin says of one stands over the configuration and the catalogue, field by field.

use std::sync::Arc;

use headworks_api::{storage::ModelRecord, v1};
use headworks_core::{Catalog, Fault, NanoUsd, Reason};
use headworks_providers::catalog::{CatalogError, RawModel, RawPrice, RawWindow, Said};
use headworks_store::Models;
use prost::Message;

use crate::grpc::{Doors, key_fields};

/// How a catalogue is made of all that is said; what of it cannot be used is told beside.
pub type Make = dyn Fn(&[Said]) -> Result<(Catalog, Vec<CatalogError>), CatalogError> + Send + Sync;

/// What the API says of models, and how a catalogue is made of it.
pub struct ModelBook {
    models: Models,
    make: Arc<Make>,
    /// One change at a time: each is tried on a catalogue before it is kept.
    writing: tokio::sync::Mutex<()>,
}

impl ModelBook {
    /// What is said, and how it becomes a catalogue.
    pub fn new(models: Models, make: Arc<Make>) -> Self {
        Self { models, make, writing: tokio::sync::Mutex::default() }
    }

    /// What is said of all models, readable. What cannot be read is told.
    pub fn said(models: &Models) -> (Vec<Said>, Vec<Fault>) {
        let (mut said, mut wrong) = (Vec::new(), Vec::new());
        for (record, _) in models.list() {
            match read(&record) {
                Ok(one) => said.push(one),
                Err(fault) => wrong.push(fault),
            }
        }
        (said, wrong)
    }

    /// The version of what is said of a model.
    pub fn version(&self, id: &str) -> Option<u64> {
        self.models.get(id).map(|(_, version)| version)
    }

    /// The catalogue as it would be with `changed` in place of what is said of `id`. Fails where that cannot be used.
    async fn tried(&self, id: &str, changed: Option<&ModelRecord>) -> Result<Catalog, Fault> {
        let (mut said, _) = Self::said(&self.models);
        said.retain(|one| format!("{}/{}", one.provider, one.model.name) != id);
        said.extend(changed.map(read).transpose()?);
        let make = self.make.clone();
        let made = tokio::task::spawn_blocking(move || make(&said)).await.map_err(|_| Fault::internal("the catalogue could not be made"))?;
        let (catalog, wrong) = made.map_err(|error| Fault::internal(format!("the catalogue could not be made: {error}")))?;
        match wrong.into_iter().find(|error| error.0.starts_with(&format!("{id}: "))) {
            Some(error) => Err(refused(id, &error)),
            None => Ok(catalog),
        }
    }
}

/// The error of a catalogue as one of a field.
fn refused(id: &str, error: &CatalogError) -> Fault {
    let said = error.0.strip_prefix(&format!("{id}: ")).unwrap_or(&error.0);
    let (field, what) = said.split_once(": ").unwrap_or(("", said));
    let hint = match field.split('.').nth(1) {
        Some("residency") => "; in billionths, so 1.1 is 1100000000",
        Some("off_peak") if field.ends_with("windows") => "",
        _ if field.starts_with("price") => "; prices are nano-USD per million tokens, so $3 is 3000000000",
        _ => "",
    };
    let field = field.replacen("units.", "unit_prices.", 1).replacen("price.residency", "price.residency_billionths", 1);
    Fault::invalid(format!("model.{field}").trim_end_matches('.'), format!("{what}{hint}"))
}

/// What a record says, in the catalogue's words.
fn read(record: &ModelRecord) -> Result<Said, Fault> {
    let model = stored(record)?;
    let (provider, name) = record.id.split_once('/').ok_or_else(|| Fault::invalid("model.id", format!("\"{}\" is not provider/model", record.id)))?;
    Ok(Said { provider: provider.into(), model: raw(name, &model) })
}

fn stored(record: &ModelRecord) -> Result<v1::Model, Fault> {
    v1::Model::decode(record.model.clone()).map_err(|error| Fault::internal(format!("what is stored of {} cannot be read: {error}", record.id)))
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

fn raw(name: &str, model: &v1::Model) -> RawModel {
    let can = model.capabilities.clone().unwrap_or_default();
    let all = [
        ("tools", can.tools),
        ("parallel_tools", can.parallel_tools),
        ("vision", can.vision),
        ("pdf", can.pdf),
        ("audio", can.audio),
        ("structured_output", can.structured_output),
        ("reasoning", can.reasoning),
        ("streaming", can.streaming),
        ("sampling", can.sampling),
    ];
    let which = |wanted: v1::Capability| all.iter().filter(|(_, has)| *has == wanted as i32).map(|(name, _)| (*name).to_owned()).collect();
    RawModel {
        name: name.to_owned(),
        upstream: some(&model.upstream_name),
        mode: some(&model.mode),
        dialect: some(&model.dialect),
        context: model.context_window,
        max_input: model.max_input_tokens,
        max_output: model.max_output_tokens,
        price: model.price.as_ref().map(price),
        can: which(v1::Capability::Yes),
        cannot: which(v1::Capability::No),
        caching: some(&can.prompt_caching),
        efforts: model.reasoning_efforts.iter().map(|word| effort(*word)).collect(),
        cache_min: model.cache_min_tokens,
        regions: model.regions.clone(),
        status: match v1::ModelStatus::try_from(model.status) {
            Ok(v1::ModelStatus::Active) => Some("active"),
            Ok(v1::ModelStatus::Preview) => Some("preview"),
            Ok(v1::ModelStatus::Deprecated) => Some("deprecated"),
            Ok(v1::ModelStatus::Hidden) => Some("hidden"),
            Ok(v1::ModelStatus::Unspecified) => None,
            Err(_) => Some("unknown"),
        }
        .map(str::to_owned),
        deprecation: some(&model.deprecation_date),
        release: some(&model.release_date),
        aliases: model.aliases.clone(),
        canonical: some(&model.canonical),
        dimensions: model.dimensions,
        units: model.unit_prices.iter().map(|(unit, price)| (unit.clone(), price.clone())).collect(),
        ..RawModel::default()
    }
}

fn effort(number: i32) -> String {
    match v1::ReasoningEffort::try_from(number) {
        Ok(v1::ReasoningEffort::None) => "none",
        Ok(v1::ReasoningEffort::Minimal) => "minimal",
        Ok(v1::ReasoningEffort::Low) => "low",
        Ok(v1::ReasoningEffort::Medium) => "medium",
        Ok(v1::ReasoningEffort::High) => "high",
        Ok(v1::ReasoningEffort::Xhigh) => "xhigh",
        Ok(v1::ReasoningEffort::Max) => "max",
        Ok(v1::ReasoningEffort::Unspecified) | Err(_) => "unspecified",
    }
    .to_owned()
}

/// The same check of units reads prices of files and of the API: as decimals of US dollars per million tokens.
fn price(price: &v1::Price) -> RawPrice {
    let tiers = price.tiers.iter().map(|tier| RawPrice { above: Some(tier.above_input_tokens), ..rates(tier.rates.as_ref()) }).collect();
    let service_tiers = price.service_tiers.iter().map(|(name, tier)| (name.clone(), rates(Some(tier)))).collect();
    let off_peak =
        price.off_peak.as_ref().map(|quiet| Box::new(RawPrice { windows: quiet.windows.iter().map(window).collect(), ..rates(quiet.rates.as_ref()) }));
    let residency = price.residency_billionths.iter().map(|(place, factor)| (place.clone(), NanoUsd(*factor).to_string())).collect();
    RawPrice { tiers, service_tiers, off_peak, residency, ..rates(price.base.as_ref()) }
}

fn window(window: &v1::TimeWindow) -> RawWindow {
    // A day out of range becomes one that is refused by its number.
    let days = window.days.iter().map(|day| u8::try_from(*day).unwrap_or(0)).collect();
    RawWindow { days, hours: vec![format!("{}-{}", window.start, window.end)] }
}

fn rates(rates: Option<&v1::Rates>) -> RawPrice {
    let r = rates.copied().unwrap_or_default();
    let text = |nanos: Option<i64>| nanos.map(|nanos| NanoUsd(nanos).to_string());
    RawPrice {
        input: text(r.input_nano_usd),
        output: text(r.output_nano_usd),
        cache_read: text(r.cache_read_nano_usd),
        cache_write_5m: text(r.cache_write_5m_nano_usd),
        cache_write_1h: text(r.cache_write_1h_nano_usd),
        cache_write_12h: text(r.cache_write_12h_nano_usd),
        reasoning: text(r.reasoning_nano_usd),
        input_audio: text(r.input_audio_nano_usd),
        output_audio: text(r.output_audio_nano_usd),
        cache_read_audio: text(r.cache_read_audio_nano_usd),
        input_image: text(r.input_image_nano_usd),
        output_image: text(r.output_image_nano_usd),
        ..RawPrice::default()
    }
}

/// Only what an admin can say is kept.
fn kept(mut model: v1::Model) -> v1::Model {
    (model.id, model.provider, model.etag, model.warning) = Default::default();
    (model.supported, model.configured, model.origin) = Default::default();
    model.supported_parameters = Vec::new();
    model
}

/// Takes the fields that the mask names from `new`.
fn change(model: &mut v1::Model, new: &v1::Model, paths: &[&str]) -> Result<(), Fault> {
    for path in paths {
        match *path {
            "upstream_name" => model.upstream_name.clone_from(&new.upstream_name),
            "aliases" => model.aliases.clone_from(&new.aliases),
            "mode" => model.mode.clone_from(&new.mode),
            "dialect" => model.dialect.clone_from(&new.dialect),
            "context_window" => model.context_window = new.context_window,
            "max_input_tokens" => model.max_input_tokens = new.max_input_tokens,
            "max_output_tokens" => model.max_output_tokens = new.max_output_tokens,
            "price" => model.price.clone_from(&new.price),
            "unit_prices" => model.unit_prices.clone_from(&new.unit_prices),
            "capabilities" => model.capabilities.clone_from(&new.capabilities),
            "status" => model.status = new.status,
            "deprecation_date" => model.deprecation_date.clone_from(&new.deprecation_date),
            "regions" => model.regions.clone_from(&new.regions),
            "release_date" => model.release_date.clone_from(&new.release_date),
            "canonical" => model.canonical.clone_from(&new.canonical),
            "dimensions" => model.dimensions = new.dimensions,
            "reasoning_efforts" => model.reasoning_efforts.clone_from(&new.reasoning_efforts),
            "cache_min_tokens" => model.cache_min_tokens = new.cache_min_tokens,
            other => {
                let can = "upstream_name, aliases, mode, dialect, context_window, max_input_tokens, max_output_tokens, price, unit_prices, capabilities, status, \
                           deprecation_date, regions, release_date, canonical, dimensions, reasoning_efforts and cache_min_tokens can";
                return Err(Fault::invalid("update_mask", format!("\"{other}\" cannot be changed; {can}")));
            }
        }
    }
    Ok(())
}

fn unsaid(id: &str) -> Fault {
    Fault::new(Reason::NotFound, format!("the API says nothing of a model \"{id}\"; ListModels with the origin API lists of which it does"))
}

impl Doors {
    /// What cannot be seen from one model alone: its provider, and names that others have.
    fn check_model(&self, id: &str, model: &v1::Model) -> Result<(), Fault> {
        let catalog = self.0.shared.catalog.load();
        let (provider, name) = id.split_once('/').unwrap_or_default();
        if provider.is_empty() || name.is_empty() || id.len() > 300 || id.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(Fault::invalid("model.id", format!("\"{id}\" is not provider/model, such as openai/gpt-5")));
        }
        if catalog.host(provider).is_none() {
            return Err(Fault::invalid(
                "model.id",
                format!("no provider \"{provider}\"; ListProviders lists them, and the configuration adds others ([providers.{provider}])"),
            ));
        }
        if let Some(known) = catalog.target(id).filter(|known| known.known && known.id.to_string() != id) {
            return Err(Fault::invalid("model.id", format!("\"{id}\" is another name of {}; say it of that", known.id)));
        }
        for (at, alias) in model.aliases.iter().enumerate() {
            let field = format!("model.aliases[{at}]");
            if !alias.contains('/') || alias.starts_with("policy/") {
                return Err(Fault::invalid(field, format!("\"{alias}\" is no full id; write provider/model")));
            }
            if let Some(known) = catalog.target(alias).filter(|known| known.known && known.id.to_string() != id) {
                return Err(Fault::invalid(field, format!("\"{alias}\" means {} already", known.id)));
            }
        }
        Ok(())
    }

    /// Keeps what is said, then applies it: a call that comes after this meets it.
    async fn keep_model(&self, record: ModelRecord, over: Option<u64>, catalog: Catalog) -> Result<v1::Model, Fault> {
        let id = record.id.clone();
        self.0.models.models.put(record, over).await?;
        self.apply(catalog);
        let target = self.0.shared.catalog.load().target(&id).ok_or_else(|| Fault::internal(format!("{id} is not in the catalogue")))?;
        Ok(self.model(&target))
    }

    fn apply(&self, catalog: Catalog) {
        self.0.shared.catalog.store(Arc::new(catalog));
    }

    pub(super) async fn said_first(&self, asked: v1::CreateModelRequest) -> Result<v1::Model, Fault> {
        let model = asked.model.ok_or_else(|| Fault::invalid("model", "is missing"))?;
        let id = model.id.clone();
        self.check_model(&id, &model)?;
        let book = &self.0.models;
        let _one = book.writing.lock().await;
        if book.models.get(&id).is_some() {
            return Err(Fault::new(Reason::AlreadyExists, format!("the API says something of {id} already; UpdateModel changes it")));
        }
        let now = headworks_engine::unix_nanos();
        let record = ModelRecord { id: id.clone(), model: kept(model).encode_to_vec().into(), create_unix_nanos: now, update_unix_nanos: now };
        let catalog = book.tried(&id, Some(&record)).await?;
        let model = self.keep_model(record, None, catalog).await?;
        tracing::info!(model = %id, "model said by API");
        Ok(model)
    }

    pub(super) async fn said_again(&self, asked: v1::UpdateModelRequest) -> Result<v1::Model, Fault> {
        let new = asked.model.ok_or_else(|| Fault::invalid("model", "is missing"))?;
        let paths = key_fields::paths(asked.update_mask.as_ref())?;
        let wanted = key_fields::version(&new.etag, "model.etag")?;
        let book = &self.0.models;
        let _one = book.writing.lock().await;
        let (old, version) = book.models.get(&new.id).ok_or_else(|| unsaid(&new.id))?;
        if wanted.is_some_and(|wanted| wanted != version) {
            return Err(Fault::new(Reason::Conflict, format!("what is said of {} changed since it was read; read it again and repeat the change", new.id)));
        }
        let mut model = stored(&old)?;
        change(&mut model, &new, &paths)?;
        self.check_model(&new.id, &model)?;
        let record = ModelRecord { model: model.encode_to_vec().into(), update_unix_nanos: headworks_engine::unix_nanos(), ..(*old).clone() };
        let catalog = book.tried(&new.id, Some(&record)).await?;
        let model = self.keep_model(record, Some(version), catalog).await?;
        tracing::info!(model = %new.id, "model changed by API");
        Ok(model)
    }

    pub(super) async fn unsaid(&self, asked: v1::DeleteModelRequest) -> Result<(), Fault> {
        let wanted = key_fields::version(&asked.etag, "etag")?;
        let book = &self.0.models;
        let _one = book.writing.lock().await;
        let (_, version) = book.models.get(&asked.id).ok_or_else(|| unsaid(&asked.id))?;
        let catalog = book.tried(&asked.id, None).await?;
        book.models.delete(&asked.id, wanted.unwrap_or(version)).await?;
        self.apply(catalog);
        tracing::info!(model = %asked.id, "what the API said of a model was taken back");
        Ok(())
    }
}
