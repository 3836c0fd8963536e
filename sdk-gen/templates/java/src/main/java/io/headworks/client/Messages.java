package io.headworks.client;

import com.google.protobuf.ByteString;
import io.headworks.v1.Chat;
import io.headworks.v1.FunctionTool;
import io.headworks.v1.Image;
import io.headworks.v1.JsonSchemaFormat;
import io.headworks.v1.Message;
import io.headworks.v1.OutputFormat;
import io.headworks.v1.Part;
import io.headworks.v1.Role;
import io.headworks.v1.Tool;
import io.headworks.v1.ToolCall;
import io.headworks.v1.ToolResult;
import java.time.Duration;
import java.util.List;

/** Messages in short; made for static import. */
public final class Messages {
  private Messages() {}

  /** A chat: a model and what is said. More of it by {@code toBuilder()}. */
  public static Chat chat(String model, Message... messages) {
    return Chat.newBuilder().setModel(model).addAllMessages(List.of(messages)).build();
  }

  /** What the person says. */
  public static Message user(String text, Part... more) {
    return message(Role.ROLE_USER, text).toBuilder().addAllParts(List.of(more)).build();
  }

  /** Instructions of the application. */
  public static Message system(String text) {
    return message(Role.ROLE_SYSTEM, text);
  }

  /** What the model said. For its real answers, {@link Reply#message()} keeps more. */
  public static Message assistant(String text) {
    return message(Role.ROLE_ASSISTANT, text);
  }

  private static Message message(Role role, String text) {
    return Message.newBuilder().setRole(role).addParts(text(text)).build();
  }

  /** A part of text. */
  public static Part text(String text) {
    return Part.newBuilder().setText(text).build();
  }

  /** A picture that the provider fetches. */
  public static Part image(String url) {
    return Part.newBuilder().setImage(Image.newBuilder().setUrl(url)).build();
  }

  /** A picture by its bytes and media type. */
  public static Part image(byte[] data, String mimeType) {
    return Part.newBuilder().setImage(Image.newBuilder().setData(ByteString.copyFrom(data)).setMimeType(mimeType)).build();
  }

  /** What a tool gave back for a call of {@link Reply#toolCalls()}. */
  public static Message toolResult(ToolCall call, String text) {
    ToolResult.Builder result = ToolResult.newBuilder().setToolCallId(call.getId()).setName(call.getName()).addParts(text(text));
    return Message.newBuilder().setRole(Role.ROLE_TOOL).addParts(Part.newBuilder().setToolResult(result)).build();
  }

  /** A tool that the application runs. {@code parameters} is the JSON Schema of its arguments. */
  public static Tool function(String name, String description, String parameters) {
    FunctionTool.Builder function = FunctionTool.newBuilder().setName(name).setDescription(description).setParametersJson(parameters);
    return Tool.newBuilder().setFunction(function).build();
  }

  /** Asks for JSON that follows a schema. */
  public static OutputFormat jsonSchema(String name, String schema) {
    return OutputFormat.newBuilder().setJsonSchema(JsonSchemaFormat.newBuilder().setName(name).setSchemaJson(schema)).build();
  }

  /** A span of time as the schema has it. */
  public static com.google.protobuf.Duration duration(Duration span) {
    return com.google.protobuf.Duration.newBuilder().setSeconds(span.getSeconds()).setNanos(span.getNano()).build();
  }
}
