import static io.headworks.client.Messages.*;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.grpc.Status;
import io.headworks.client.ChatStream;
import io.headworks.client.Headworks;
import io.headworks.client.HeadworksException;
import io.headworks.client.Money;
import io.headworks.client.Reason;
import io.headworks.client.Reply;
import io.headworks.client.RequestOptions;
import io.headworks.v1.*;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import java.util.stream.LongStream;

/** The scenarios by the Java client. */
public final class Scenarios {
  private static final Headworks client = Headworks.create();
  private static final Headworks fake = Headworks.builder().baseUrl(System.getenv("HEADWORKS_FAKE_URL")).apiKey("k").build();

  private interface Call {
    void run() throws Exception;
  }

  private static void check(boolean good, Object what) {
    if (!good) throw new AssertionError("not so: " + what);
  }

  private static HeadworksException failure(Call call) throws Exception {
    try {
      call.run();
    } catch (HeadworksException failed) {
      return failed;
    }
    throw new AssertionError("no error came");
  }

  private static String unique() {
    return UUID.randomUUID().toString().substring(0, 8);
  }

  private static <T> List<T> list(Iterable<T> items) {
    List<T> all = new ArrayList<>();
    items.forEach(all::add);
    return all;
  }

  private static RequestRecord record(String id) throws Exception {
    for (int i = 0; i < 100; i++) {
      try {
        return client.usage().getRequest(GetRequestRequest.newBuilder().setId(id).build()).getRequest();
      } catch (HeadworksException failed) {
        if (!failed.reason().equals(Reason.NOT_FOUND)) throw failed;
      }
      Thread.sleep(100);
    }
    throw new AssertionError("no record of " + id);
  }

  private static RequestOptions tagged(String test) {
    return RequestOptions.DEFAULT.withMetadata(Map.of("x-test", test));
  }

  private static int tries(String model, String test) {
    return Integer.parseInt(fake.complete(Chat.newBuilder().setModel("tries").setUser(model).build(), tagged(test)).text());
  }

  private static Chat ask(JsonObject s) {
    return chat(text(s, "model"), user(text(s, "prompt")));
  }

  private static String text(JsonObject s, String name) {
    return s.get(name).getAsString();
  }

  private static List<String> texts(JsonArray array) {
    List<String> all = new ArrayList<>();
    for (JsonElement one : array) all.add(one.getAsString());
    return all;
  }

  private static String chain(JsonObject s) {
    String name = "sdk-" + unique();
    FallbackChain.Builder chain = FallbackChain.newBuilder();
    texts(s.getAsJsonArray("targets")).forEach(model -> chain.addTargets(PolicyTarget.newBuilder().setModel(model)));
    Policy policy = Policy.newBuilder().setName(name).setFallback(chain).build();
    Policy made = client.policies().createPolicy(CreatePolicyRequest.newBuilder().setPolicy(policy).build()).getPolicy();
    check(made.getVersion() == 1, made);
    Policy got = client.policies().getPolicy(GetPolicyRequest.newBuilder().setName(name).build()).getPolicy();
    check(got.getEtag().equals(made.getEtag()), got);
    return name;
  }

  private static void run(String id, JsonObject s) throws Exception {
    switch (id) {
      case "complete" -> {
        Reply reply = client.complete(ask(s));
        check(reply.text().equals(text(s, "text")) && reply.servedBy().equals(text(s, "model")), reply);
        check(reply.finishReason() == FinishReason.FINISH_REASON_STOP && reply.usage().getPromptTokens() > 0, reply);
        check(reply.cost().signum() > 0 && Money.nanoUsd(reply.cost()) == reply.usage().getCostNanoUsd(), reply.cost());
        check(reply.route().getAttemptsCount() == 1 && reply.route().getAttempts(0).getOutcome() == AttemptOutcome.ATTEMPT_OUTCOME_SUCCESS, reply);
      }
      case "stream" -> {
        List<StreamEvent> events = list(client.stream(ask(s)));
        check(events.stream().map(StreamEvent::getSequence).toList().equals(LongStream.rangeClosed(1, events.size()).boxed().toList()), events);
        check(events.get(0).hasStarted() && events.get(events.size() - 1).hasCompleted(), events);
        List<String> pieces = list(client.stream(ask(s)).text());
        check(pieces.size() > 1 && String.join("", pieces).equals(text(s, "text")), pieces);
        Reply reply = client.stream(ask(s)).collect();
        check(reply.text().equals(text(s, "text")) && reply.usage().getCostNanoUsd() > 0, reply);
      }
      case "tools" -> {
        Tool tool = function(text(s, "tool"), "Tells the weather", "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}},\"required\":[\"city\"]}");
        List<Function<Chat, Reply>> ways = List.of(client::complete, chat -> client.stream(chat).collect());
        for (Function<Chat, Reply> answer : ways) {
          Chat chat = ask(s).toBuilder().addTools(tool).setParallelToolCalls(false).build();
          Reply reply = answer.apply(chat);
          check(reply.toolCalls().size() == 1 && reply.finishReason() == FinishReason.FINISH_REASON_TOOL_CALLS, reply);
          ToolCall call = reply.toolCalls().get(0);
          check(call.getName().equals(text(s, "tool")) && JsonParser.parseString(call.getArgumentsJson()).getAsJsonObject().has("city"), call);
          Reply after = answer.apply(chat.toBuilder().addMessages(reply.message()).addMessages(toolResult(call, text(s, "result"))).build());
          check(after.text().contains(text(s, "tool")) && after.toolCalls().isEmpty(), after);
        }
      }
      case "structured" -> {
        Reply reply = client.complete(ask(s).toBuilder().setOutput(jsonSchema("city", s.get("schema").toString())).build());
        check(JsonParser.parseString(reply.text()).getAsJsonObject().get(text(s, "field")).isJsonPrimitive(), reply.text());
      }
      case "image" -> {
        Part picture = image(Base64.getDecoder().decode(text(s, "png")), "image/png");
        Reply reply = client.complete(chat(text(s, "model"), user(text(s, "prompt"), picture)));
        check(reply.text().equals(text(s, "prompt")) && reply.usage().getPromptTokens() >= s.get("min_input_tokens").getAsLong(), reply);
      }
      case "cancel" -> {
        ChatStream left = client.stream(ask(s));
        try (left) {
          left.text().iterator().next();
        }
        check(record(left.soFar().raw().getRequestId()).getOutcome() == AttemptOutcome.ATTEMPT_OUTCOME_CANCELLED, "left");
        ChatStream told = client.stream(ask(s));
        told.next();
        told.cancel();
        check(record(told.soFar().raw().getRequestId()).getOutcome() == AttemptOutcome.ATTEMPT_OUTCOME_CANCELLED, "told");
      }
      case "deadline" -> {
        RequestOptions options = RequestOptions.DEFAULT.withTimeout(Duration.ofMillis(s.get("timeout_ms").getAsLong()));
        HeadworksException failed = failure(() -> client.complete(ask(s), options));
        check(failed.reason().equals(text(s, "reason")) && failed.code() == Status.Code.DEADLINE_EXCEEDED, failed);
      }
      case "resume-live" -> {
        ChatStream stream = client.stream(ask(s).toBuilder().setResumeWindow(duration(Duration.ofMinutes(1))).build());
        List<Long> events = list(stream).stream().map(StreamEvent::getSequence).toList();
        List<Long> rest = new ArrayList<>();
        for (var one : client.streams().resume(ResumeRequest.newBuilder().setStreamId(stream.streamId()).setAfterSequence(3).build())) {
          rest.add(one.getEvent().getSequence());
        }
        check(rest.equals(events.subList(3, events.size())), rest);
      }
      case "resume" -> {
        ChatStream stream = fake.stream(chat(text(s, "model"), user("x")));
        List<Long> events = list(stream).stream().map(StreamEvent::getSequence).toList();
        check(events.equals(LongStream.rangeClosed(1, 9).boxed().toList()), events);
        check(stream.soFar().text().equals(text(s, "text")) && stream.resumes() == 2, stream.resumes());
      }
      case "no-resume" -> {
        ChatStream stream = fake.stream(chat(text(s, "model"), user("x")).toBuilder().setResumeWindow(duration(Duration.ZERO)).build());
        HeadworksException failed = failure(stream::collect);
        check(failed.lost() && stream.soFar().text().equals(text(s, "partial")) && stream.resumes() == 0, failed);
      }
      case "reasons" -> {
        for (JsonElement one : s.getAsJsonArray("cases")) {
          HeadworksException failed = failure(() -> client.complete(chat(text(one.getAsJsonObject(), "model"), user("x"))));
          check(failed.reason().equals(text(one.getAsJsonObject(), "reason")) && failed.fromGateway() && failed.metadata().containsKey("attempts"), failed);
        }
        try (Headworks stranger = Headworks.builder().apiKey("wrong").build()) {
          HeadworksException failed = failure(() -> stranger.complete(chat("sandbox/echo", user("x"))));
          check(failed.reason().equals(text(s, "wrong_key")) && !failed.retryable(), failed);
        }
        HeadworksException failed = failure(() -> client.complete(chat("sandbox/echo")));
        check(failed.reason().equals(text(s, "no_messages")) && failed.violations().get(0).field().contains("messages"), failed);
      }
      case "retry" -> {
        for (int limit : new int[] {2, 1}) {
          String test = unique();
          Call call = () -> check(fake.complete(chat(text(s, "model"), user("x")), tagged(test).withMaxRetries(limit)).text().equals(text(s, "text")), limit);
          if (limit == 2) {
            call.run();
          } else {
            check(failure(call).reason().equals(Reason.OVERLOADED), limit);
          }
          check(tries(text(s, "model"), test) == limit + 1, limit);
        }
        String agent = fake.complete(chat("agent", user("x"))).text();
        check(agent.startsWith("headworks-java/"), agent);
      }
      case "no-retry" -> {
        for (String model : texts(s.getAsJsonArray("models"))) {
          String test = unique();
          failure(() -> fake.complete(chat(model, user("x")), tagged(test)));
          check(tries(model, test) == s.get("tries").getAsInt(), model);
        }
      }
      case "paging" -> {
        String mark = unique();
        for (int at = 0; at < s.get("keys").getAsInt(); at++) {
          client.keys().createKey(CreateKeyRequest.newBuilder().setKey(Key.newBuilder().setName(mark + at)).build());
        }
        var keys = client.keys().listKeys(ListKeysRequest.newBuilder().setPageSize(s.get("page_size").getAsInt()).build());
        check(keys.stream().filter(key -> key.getName().startsWith(mark)).count() == s.get("keys").getAsInt(), mark);
        for (var page : keys.pages()) check(page.getKeysCount() <= s.get("page_size").getAsInt(), page);
      }
      case "policy" -> {
        String name = chain(s);
        Reply reply = client.complete(chat("policy/" + name, user(text(s, "prompt"))));
        check(reply.text().equals(text(s, "text")) && reply.servedBy().equals(text(s, "served_by")), reply);
        check(reply.route().getAttemptsCount() == s.get("attempts").getAsInt(), reply);
        check(client.policies().listPolicies(ListPoliciesRequest.getDefaultInstance()).stream().anyMatch(p -> p.getName().equals(name)), name);
        client.policies().deletePolicy(DeletePolicyRequest.newBuilder().setName(name).build());
      }
      case "explain" -> {
        var told = client.policies().explainRoute(ExplainRouteRequest.newBuilder().setChat(chat("policy/" + chain(s), user("x"))).build());
        check(told.getTargetsList().subList(0, 2).stream().map(ExplainedTarget::getTarget).toList().equals(texts(s.getAsJsonArray("targets"))), told);
      }
      case "budget" -> {
        Budget budget = Budget.newBuilder().setLimitNanoUsd(s.get("limit_nano_usd").getAsLong()).build();
        var made = client.keys().createKey(CreateKeyRequest.newBuilder().setKey(Key.newBuilder().setName("poor").setBudget(budget)).build());
        try (Headworks poor = Headworks.builder().apiKey(made.getSecret()).build()) {
          HeadworksException failed = failure(() -> poor.complete(chat(text(s, "model"), user("x"))));
          check(failed.reason().equals(text(s, "reason")) && !failed.retryable() && failed.code() == Status.Code.RESOURCE_EXHAUSTED, failed);
        }
      }
      case "usage" -> {
        Reply reply = client.complete(ask(s).toBuilder().addTags("sdk").build());
        RequestRecord kept = record(reply.raw().getRequestId());
        check(kept.getUsage().getCostNanoUsd() == reply.usage().getCostNanoUsd() && kept.getTagsList().equals(List.of("sdk")), kept);
        check(kept.getServedBy().equals(text(s, "model")), kept);
      }
      case "usage-query" -> {
        client.complete(chat("sandbox/echo", user("x")));
        var rows = client.usage().queryUsage(QueryUsageRequest.newBuilder().addGroupBy(text(s, "group_by")).build());
        check(rows.stream().anyMatch(row -> row.getRequestCount() > 0 && row.getUsage().getCostNanoUsd() > 0), "rows");
      }
      case "watch" -> {
        var watch = client.usage().watchRequests(WatchRequestsRequest.getDefaultInstance(), RequestOptions.DEFAULT.withTimeout(Duration.ofSeconds(20)));
        try (watch) {
          CompletableFuture<String> seen = CompletableFuture.supplyAsync(() -> watch.next().getRequest().getId());
          for (int i = 0; i < 20 && !seen.isDone(); i++) {
            client.complete(ask(s));
            try {
              seen.get(500, TimeUnit.MILLISECONDS);
            } catch (TimeoutException notYet) {
              continue;
            } catch (java.util.concurrent.ExecutionException failed) {
              throw (Exception) failed.getCause();
            }
          }
          check(!seen.get(1, TimeUnit.SECONDS).isEmpty(), "nothing was told");
        }
      }
      case "large" -> {
        Part picture = image(new byte[s.get("word_bytes").getAsInt()], "image/png");
        check(client.complete(chat(text(s, "model"), user("look", picture))).text().equals("look"), "large");
      }
      default -> throw new AssertionError("no such scenario");
    }
  }

  public static void main(String[] arguments) throws Exception {
    for (JsonElement one : JsonParser.parseString(Files.readString(Path.of(System.getenv("HEADWORKS_SCENARIOS")))).getAsJsonArray()) {
      JsonObject s = one.getAsJsonObject();
      String id = text(s, "id");
      try {
        run(id, s);
        System.out.println("PASS " + id);
      } catch (HeadworksException failed) {
        System.out.println(failed.reason().equals(Reason.NOT_IMPLEMENTED) ? "UNSERVED " + id : "FAIL " + id + ": " + failed);
      } catch (Exception | AssertionError failed) {
        System.out.println("FAIL " + id + ": " + failed);
        failed.printStackTrace();
      }
    }
    client.close();
    fake.close();
  }
}
