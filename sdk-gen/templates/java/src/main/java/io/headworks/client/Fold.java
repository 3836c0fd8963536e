package io.headworks.client;

import io.headworks.v1.ChatReply;
import io.headworks.v1.Choice;
import io.headworks.v1.Message;
import io.headworks.v1.Part;
import io.headworks.v1.Reasoning;
import io.headworks.v1.Role;
import io.headworks.v1.StreamEvent;
import io.headworks.v1.ToolCall;
import java.util.HashMap;
import java.util.Map;

/** Events to an answer: a reply is the fold of its events. */
final class Fold {
  private final ChatReply.Builder reply = ChatReply.newBuilder();
  private final Map<Integer, ToolCall.Builder> calls = new HashMap<>();

  Reply reply() {
    return new Reply(reply.build());
  }

  void add(StreamEvent event) {
    switch (event.getKindCase()) {
      case STARTED -> {
        var begun = event.getStarted();
        reply.setRequestId(begun.getRequestId()).setServedBy(begun.getServedBy()).setModel(begun.getModel()).setId(begun.getId());
      }
      case COMPLETED -> {
        var end = event.getCompleted();
        reply.setUsage(end.getUsage()).setRoute(end.getRoute());
        if (!end.getRoute().getRequestId().isEmpty()) {
          reply.setRequestId(end.getRoute().getRequestId());
        }
      }
      case RECOVERED -> reply.setServedBy(event.getRecovered().getTo());
      case RESTARTED -> {
        reply.setServedBy(event.getRestarted().getTo()).clearChoices();
        calls.clear();
      }
      case KIND_NOT_SET -> { }
      default -> {
        while (reply.getChoicesCount() <= event.getChoice()) {
          reply.addChoices(Choice.newBuilder().setIndex(reply.getChoicesCount()).setMessage(Message.newBuilder().setRole(Role.ROLE_ASSISTANT)));
        }
        grow(reply.getChoicesBuilder(event.getChoice()), event);
      }
    }
  }

  private void grow(Choice.Builder choice, StreamEvent event) {
    Message.Builder message = choice.getMessageBuilder();
    Part.Builder last = message.getPartsCount() == 0 ? Part.newBuilder() : message.getPartsBuilder(message.getPartsCount() - 1);
    boolean open = last.hasReasoning() && last.getReasoning().getSignature().isEmpty() && last.getReasoning().getRedacted().isEmpty();
    switch (event.getKindCase()) {
      case TEXT -> {
        if (last.hasText()) {
          last.setText(last.getText() + event.getText());
        } else {
          message.addPartsBuilder().setText(event.getText());
        }
      }
      case REFUSAL -> {
        if (last.hasRefusal()) {
          last.setRefusal(last.getRefusal() + event.getRefusal());
        } else {
          message.addPartsBuilder().setRefusal(event.getRefusal());
        }
      }
      case REASONING -> {
        Reasoning.Builder thought = open ? last.getReasoningBuilder() : message.addPartsBuilder().getReasoningBuilder();
        thought.setText(thought.getText() + event.getReasoning());
      }
      case REASONING_SIGNATURE ->
          (open ? last : message.addPartsBuilder()).getReasoningBuilder().setSignature(event.getReasoningSignature());
      case REDACTED_REASONING -> message.addPartsBuilder().getReasoningBuilder().setRedacted(event.getRedactedReasoning());
      case TOOL_CALL_STARTED -> {
        var begun = event.getToolCallStarted();
        ToolCall.Builder call = message.addPartsBuilder().getToolCallBuilder();
        calls.put(begun.getIndex(), call.setId(begun.getId()).setName(begun.getName()).setSignature(begun.getSignature()));
      }
      case TOOL_CALL_ARGUMENTS -> {
        ToolCall.Builder call = calls.get(event.getToolCallArguments().getIndex());
        if (call != null) {
          call.setArgumentsJson(call.getArgumentsJson() + event.getToolCallArguments().getPiece());
        }
      }
      case HOSTED_JSON -> choice.addHostedJson(event.getHostedJson());
      case LOGPROBS_JSON -> choice.setLogprobsJson(event.getLogprobsJson());
      case OPAQUE -> message.addPartsBuilder().setOpaque(event.getOpaque());
      case FINISHED -> choice.setFinishReason(event.getFinished().getReason());
      default -> { }
    }
  }
}
