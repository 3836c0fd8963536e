// Made of model_service.proto.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { type CallOptions, type Core, Pager } from "../runtime.js";
import type * as v1 from "../v1.js";
import { ModelService } from "../gen/headworks/v1/model_service_pb.js";

/**
 * Tells which models and providers there are, and what they would make of a request. Admins add models and change them.
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

  /**
   * Tells what each target would lose of a chat, and what would become of it; calls nobody. The judgement is that of a real call.
   * Errors: INVALID_REQUEST, with the field.
   */
  checkChat(request: MessageInitShape<typeof v1.CheckChatRequestSchema> = {}, options?: CallOptions): Promise<v1.CheckChatResponse> {
    return this.#core.unary((o) => this.#stub.checkChat(request, o), false, options);
  }

  /**
   * Adds a model, or says something else of one that the catalogue or the configuration has: what is said here stands
   * above both, field by field. Its provider must be known. Effective for the next call, and kept. Needs the role ADMIN.
   * Errors: ALREADY_EXISTS if the API says something of it already, INVALID_REQUEST with the field, for a price that
   * seems to be in another unit too.
   */
  createModel(request: MessageInitShape<typeof v1.CreateModelRequestSchema> = {}, options?: CallOptions): Promise<v1.CreateModelResponse> {
    return this.#core.unary((o) => this.#stub.createModel(request, o), false, options);
  }

  /**
   * Changes what the API says of a model. Needs the role ADMIN.
   * Errors: NOT_FOUND, CONFLICT if the etag is old, INVALID_REQUEST with the field or for an unknown path.
   */
  updateModel(request: MessageInitShape<typeof v1.UpdateModelRequestSchema> = {}, options?: CallOptions): Promise<v1.UpdateModelResponse> {
    return this.#core.unary((o) => this.#stub.updateModel(request, o), false, options);
  }

  /**
   * Takes back what the API says of a model: what the configuration and the catalogue say stands again, or it is gone.
   * Needs the role ADMIN.
   * Errors: NOT_FOUND, CONFLICT if the etag is old.
   */
  deleteModel(request: MessageInitShape<typeof v1.DeleteModelRequestSchema> = {}, options?: CallOptions): Promise<v1.DeleteModelResponse> {
    return this.#core.unary((o) => this.#stub.deleteModel(request, o), false, options);
  }
}
