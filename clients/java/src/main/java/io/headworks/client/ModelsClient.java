package io.headworks.client;

import io.headworks.v1.ModelServiceGrpc;

/**
 * Tells which models and providers there are.
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
}
