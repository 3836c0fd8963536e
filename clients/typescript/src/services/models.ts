// Made of model_service.proto.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { type CallOptions, type Core, Pager } from "../runtime.js";
import type * as v1 from "../v1.js";
import { ModelService } from "../gen/headworks/v1/model_service_pb.js";

/**
 * Tells which models and providers there are.
 */
export class Models {
  readonly #core: Core;
  readonly #stub: Client<typeof ModelService>;

  constructor(core: Core) {
    this.#core = core;
    this.#stub = createClient(ModelService, core.transport);
  }

  /**
   * Lists models that the key may use, by id.
   * Errors: INVALID_REQUEST for an unknown capability.
   */
  listModels(request: MessageInitShape<typeof v1.ListModelsRequestSchema> = {}, options?: CallOptions): Pager<v1.Model, v1.ListModelsResponse> {
    const fetch = (pageToken: string) => this.#core.unary((o) => this.#stub.listModels({ ...request, pageToken }, o), true, options);
    return new Pager(fetch, (page) => page.models, request.pageToken ?? "");
  }

  /**
   * Gets one model by id, alias or bare name.
   * Errors: MODEL_NOT_FOUND, also for a model that the key may not use.
   */
  getModel(request: MessageInitShape<typeof v1.GetModelRequestSchema> = {}, options?: CallOptions): Promise<v1.GetModelResponse> {
    return this.#core.unary((o) => this.#stub.getModel(request, o), true, options);
  }

  /**
   * Lists providers, configured or not.
   * Errors: INVALID_REQUEST.
   */
  listProviders(request: MessageInitShape<typeof v1.ListProvidersRequestSchema> = {}, options?: CallOptions): Pager<v1.Provider, v1.ListProvidersResponse> {
    const fetch = (pageToken: string) => this.#core.unary((o) => this.#stub.listProviders({ ...request, pageToken }, o), true, options);
    return new Pager(fetch, (page) => page.providers, request.pageToken ?? "");
  }
}
