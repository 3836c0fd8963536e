package io.headworks.client;

import io.headworks.v1.ChatReply;
import io.headworks.v1.FinishReason;
import io.headworks.v1.Message;
import io.headworks.v1.Part;
import io.headworks.v1.Role;
import io.headworks.v1.Route;
import io.headworks.v1.ToolCall;
import io.headworks.v1.Usage;
import java.math.BigDecimal;
import java.util.List;
import java.util.stream.Collectors;

/**
 * A whole answer.
 *
 * @param raw the message itself
 */
public record Reply(ChatReply raw) {
  /** The first answer as a message, to be put before the next turn. */
  public Message message() {
    return raw.getChoicesCount() == 0 ? Message.newBuilder().setRole(Role.ROLE_ASSISTANT).build() : raw.getChoices(0).getMessage();
  }

  /** The text of the first answer. */
  public String text() {
    return message().getPartsList().stream().map(Part::getText).collect(Collectors.joining());
  }

  /** What the model thought first, where it can be read. */
  public String reasoning() {
    return message().getPartsList().stream().map(part -> part.getReasoning().getText()).collect(Collectors.joining());
  }

  /** Calls for the application to run. */
  public List<ToolCall> toolCalls() {
    return message().getPartsList().stream().filter(Part::hasToolCall).map(Part::getToolCall).toList();
  }

  /** Why the first answer ended. */
  public FinishReason finishReason() {
    return raw.getChoicesCount() == 0 ? FinishReason.FINISH_REASON_UNSPECIFIED : raw.getChoices(0).getFinishReason();
  }

  /** Tokens and money. */
  public Usage usage() {
    return raw.getUsage();
  }

  /** How the call went: every attempt, and what was left out. */
  public Route route() {
    return raw.getRoute();
  }

  /** What served, as {@code provider/model}. */
  public String servedBy() {
    return raw.getServedBy();
  }

  /** What it cost, US dollars, exactly. */
  public BigDecimal cost() {
    return Money.usd(raw.getUsage().getCostNanoUsd());
  }
}
