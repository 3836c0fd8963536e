//! Made of model_service.proto.

use tonic::transport::Channel;

use crate::{
    Error,
    core::{Answers, Core, MESSAGE_LIMIT},
    v1::{self, model_service_client::ModelServiceClient},
};

/// Tells which models and providers there are, and what they would make of a request. Admins add models and change them.
#[derive(Clone, Debug)]
pub struct Models {
    core: Core,
    stub: ModelServiceClient<Channel>,
}

impl Models {
    pub(crate) fn new(core: Core) -> Self {
        let stub = ModelServiceClient::new(core.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT).max_encoding_message_size(MESSAGE_LIMIT);
        Self { core, stub }
    }

    /// Lists models that the key may use, by id.
    /// Errors: INVALID_REQUEST for an unknown capability.
    pub async fn list_models(&self, request: v1::ListModelsRequest) -> Result<v1::ListModelsResponse, Error> {
        let again = true;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.list_models(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// All items of [`list_models`](Self::list_models), page after page.
    pub fn list_models_all(&self, request: v1::ListModelsRequest) -> Answers<v1::Model> {
        let all = self.clone();
        crate::core::pages(
            request,
            move |request| {
                let all = all.clone();
                async move { all.list_models(request).await }
            },
            |page: v1::ListModelsResponse| (page.models, page.next_page_token),
            |request, token| request.page_token = token,
        )
    }

    /// Gets one model by id, alias or bare name.
    /// Errors: MODEL_NOT_FOUND, also for a model that the key may not use.
    pub async fn get_model(&self, request: v1::GetModelRequest) -> Result<v1::GetModelResponse, Error> {
        let again = true;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.get_model(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// Lists providers, configured or not.
    /// Errors: INVALID_REQUEST.
    pub async fn list_providers(&self, request: v1::ListProvidersRequest) -> Result<v1::ListProvidersResponse, Error> {
        let again = true;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.list_providers(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// All items of [`list_providers`](Self::list_providers), page after page.
    pub fn list_providers_all(&self, request: v1::ListProvidersRequest) -> Answers<v1::Provider> {
        let all = self.clone();
        crate::core::pages(
            request,
            move |request| {
                let all = all.clone();
                async move { all.list_providers(request).await }
            },
            |page: v1::ListProvidersResponse| (page.providers, page.next_page_token),
            |request, token| request.page_token = token,
        )
    }

    /// Tells what each target would lose of a chat, and what would become of it; calls nobody. The judgement is that of a real call.
    /// Errors: INVALID_REQUEST, with the field.
    pub async fn check_chat(&self, request: v1::CheckChatRequest) -> Result<v1::CheckChatResponse, Error> {
        let again = false;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.check_chat(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// Adds a model, or says something else of one that the catalogue or the configuration has: what is said here stands
    /// above both, field by field. Its provider must be known. Effective for the next call, and kept. Needs the role ADMIN.
    /// Errors: ALREADY_EXISTS if the API says something of it already, INVALID_REQUEST with the field, for a price that
    /// seems to be in another unit too.
    pub async fn create_model(&self, request: v1::CreateModelRequest) -> Result<v1::CreateModelResponse, Error> {
        let again = false;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.create_model(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// Changes what the API says of a model. Needs the role ADMIN.
    /// Errors: NOT_FOUND, CONFLICT if the etag is old, INVALID_REQUEST with the field or for an unknown path.
    pub async fn update_model(&self, request: v1::UpdateModelRequest) -> Result<v1::UpdateModelResponse, Error> {
        let again = false;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.update_model(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// Takes back what the API says of a model: what the configuration and the catalogue say stands again, or it is gone.
    /// Needs the role ADMIN.
    /// Errors: NOT_FOUND, CONFLICT if the etag is old.
    pub async fn delete_model(&self, request: v1::DeleteModelRequest) -> Result<v1::DeleteModelResponse, Error> {
        let again = false;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.delete_model(request).await }
        };
        self.core.unary(request, again, call).await
    }
}
