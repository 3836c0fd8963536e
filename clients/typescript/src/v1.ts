// The messages of `headworks.v1`, made by protoc-gen-es.
export * from "./gen/headworks/v1/chat_pb.js";
export * from "./gen/headworks/v1/reason_pb.js";
export * from "./gen/headworks/v1/usage_pb.js";
export * from "./gen/headworks/v1/event_pb.js";
export * from "./gen/headworks/v1/chat_service_pb.js";
export * from "./gen/headworks/v1/embedding_service_pb.js";
export * from "./gen/headworks/v1/key_service_pb.js";
export * from "./gen/headworks/v1/policy_service_pb.js";
export * from "./gen/headworks/v1/model_pb.js";
export * from "./gen/headworks/v1/model_service_pb.js";
export * from "./gen/headworks/v1/stream_service_pb.js";
export * from "./gen/headworks/v1/usage_service_pb.js";
