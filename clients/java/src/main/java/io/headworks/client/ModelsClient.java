package io.headworks.client;

import io.headworks.v1.ModelServiceGrpc;

/**
 * Tells which models and providers there are, and what they would make of a request. Admins add models and change them.
 */
public final class ModelsClient {
  private final Core core;

  ModelsClient(Core core) {
    this.core = core;
  }

  /**
   * Lists models that the key may use, by id.
   * Errors: INVALID_REQUEST for an unknown capability.
   */
  public Pager<io.headworks.v1.Model, io.headworks.v1.ListModelsResponse> listModels(io.headworks.v1.ListModelsRequest request) {
    return listModels(request, RequestOptions.DEFAULT);
  }

  /**
   * Lists models that the key may use, by id.
   * Errors: INVALID_REQUEST for an unknown capability.
   */
  public Pager<io.headworks.v1.Model, io.headworks.v1.ListModelsResponse> listModels(io.headworks.v1.ListModelsRequest request, RequestOptions options) {
    return new Pager<>(
        token -> core.unary(ModelServiceGrpc.getListModelsMethod(), request.toBuilder().setPageToken(token).build(), true, options),
        io.headworks.v1.ListModelsResponse::getModelsList,
        io.headworks.v1.ListModelsResponse::getNextPageToken,
        request.getPageToken());
  }

  /**
   * Gets one model by id, alias or bare name.
   * Errors: MODEL_NOT_FOUND, also for a model that the key may not use.
   */
  public io.headworks.v1.GetModelResponse getModel(io.headworks.v1.GetModelRequest request) {
    return getModel(request, RequestOptions.DEFAULT);
  }

  /**
   * Gets one model by id, alias or bare name.
   * Errors: MODEL_NOT_FOUND, also for a model that the key may not use.
   */
  public io.headworks.v1.GetModelResponse getModel(io.headworks.v1.GetModelRequest request, RequestOptions options) {
    return core.unary(ModelServiceGrpc.getGetModelMethod(), request, true, options);
  }

  /**
   * Lists providers, configured or not.
   * Errors: INVALID_REQUEST.
   */
  public Pager<io.headworks.v1.Provider, io.headworks.v1.ListProvidersResponse> listProviders(io.headworks.v1.ListProvidersRequest request) {
    return listProviders(request, RequestOptions.DEFAULT);
  }

  /**
   * Lists providers, configured or not.
   * Errors: INVALID_REQUEST.
   */
  public Pager<io.headworks.v1.Provider, io.headworks.v1.ListProvidersResponse> listProviders(io.headworks.v1.ListProvidersRequest request, RequestOptions options) {
    return new Pager<>(
        token -> core.unary(ModelServiceGrpc.getListProvidersMethod(), request.toBuilder().setPageToken(token).build(), true, options),
        io.headworks.v1.ListProvidersResponse::getProvidersList,
        io.headworks.v1.ListProvidersResponse::getNextPageToken,
        request.getPageToken());
  }

  /**
   * Tells what each target would lose of a chat, and what would become of it; calls nobody. The judgement is that of a real call.
   * Errors: INVALID_REQUEST, with the field.
   */
  public io.headworks.v1.CheckChatResponse checkChat(io.headworks.v1.CheckChatRequest request) {
    return checkChat(request, RequestOptions.DEFAULT);
  }

  /**
   * Tells what each target would lose of a chat, and what would become of it; calls nobody. The judgement is that of a real call.
   * Errors: INVALID_REQUEST, with the field.
   */
  public io.headworks.v1.CheckChatResponse checkChat(io.headworks.v1.CheckChatRequest request, RequestOptions options) {
    return core.unary(ModelServiceGrpc.getCheckChatMethod(), request, false, options);
  }

  /**
   * Adds a model, or says something else of one that the catalogue or the configuration has: what is said here stands
   * above both, field by field. Its provider must be known. Effective for the next call, and kept. Needs the role ADMIN.
   * Errors: ALREADY_EXISTS if the API says something of it already, INVALID_REQUEST with the field, for a price that
   * seems to be in another unit too.
   */
  public io.headworks.v1.CreateModelResponse createModel(io.headworks.v1.CreateModelRequest request) {
    return createModel(request, RequestOptions.DEFAULT);
  }

  /**
   * Adds a model, or says something else of one that the catalogue or the configuration has: what is said here stands
   * above both, field by field. Its provider must be known. Effective for the next call, and kept. Needs the role ADMIN.
   * Errors: ALREADY_EXISTS if the API says something of it already, INVALID_REQUEST with the field, for a price that
   * seems to be in another unit too.
   */
  public io.headworks.v1.CreateModelResponse createModel(io.headworks.v1.CreateModelRequest request, RequestOptions options) {
    return core.unary(ModelServiceGrpc.getCreateModelMethod(), request, false, options);
  }

  /**
   * Changes what the API says of a model. Needs the role ADMIN.
   * Errors: NOT_FOUND, CONFLICT if the etag is old, INVALID_REQUEST with the field or for an unknown path.
   */
  public io.headworks.v1.UpdateModelResponse updateModel(io.headworks.v1.UpdateModelRequest request) {
    return updateModel(request, RequestOptions.DEFAULT);
  }

  /**
   * Changes what the API says of a model. Needs the role ADMIN.
   * Errors: NOT_FOUND, CONFLICT if the etag is old, INVALID_REQUEST with the field or for an unknown path.
   */
  public io.headworks.v1.UpdateModelResponse updateModel(io.headworks.v1.UpdateModelRequest request, RequestOptions options) {
    return core.unary(ModelServiceGrpc.getUpdateModelMethod(), request, false, options);
  }

  /**
   * Takes back what the API says of a model: what the configuration and the catalogue say stands again, or it is gone.
   * Needs the role ADMIN.
   * Errors: NOT_FOUND, CONFLICT if the etag is old.
   */
  public io.headworks.v1.DeleteModelResponse deleteModel(io.headworks.v1.DeleteModelRequest request) {
    return deleteModel(request, RequestOptions.DEFAULT);
  }

  /**
   * Takes back what the API says of a model: what the configuration and the catalogue say stands again, or it is gone.
   * Needs the role ADMIN.
   * Errors: NOT_FOUND, CONFLICT if the etag is old.
   */
  public io.headworks.v1.DeleteModelResponse deleteModel(io.headworks.v1.DeleteModelRequest request, RequestOptions options) {
    return core.unary(ModelServiceGrpc.getDeleteModelMethod(), request, false, options);
  }
}
