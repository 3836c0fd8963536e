package io.headworks.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.Context;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import java.time.Duration;
import java.util.Iterator;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/** Deadlines and retries. Knows nothing of the schema. */
final class Core {
  private static final Set<String> RETRIED = Set.of("RATE_LIMITED", "OVERLOADED", "ALL_TARGETS_FAILED", "INTERNAL");

  final ManagedChannel channel;
  private final String apiKey;
  private final Duration timeout;
  private final int maxRetries;

  Core(ManagedChannel channel, String apiKey, Duration timeout, int maxRetries) {
    this.channel = channel;
    this.apiKey = apiKey;
    this.timeout = timeout;
    this.maxRetries = maxRetries;
  }

  /** Counts the tries of one call and waits for the next. */
  final class Tries {
    private final int limit;
    private final long end;
    private int made;

    Tries(RequestOptions options) {
      limit = options.maxRetries() == null ? maxRetries : options.maxRetries();
      end = System.nanoTime() + (options.timeout() == null ? timeout : options.timeout()).toNanos();
    }

    /** There was progress: the count begins anew. */
    void progress() {
      made = 0;
    }

    CallOptions callOptions() {
      return CallOptions.DEFAULT.withDeadlineAfter(Math.max(end - System.nanoTime(), 1), TimeUnit.NANOSECONDS);
    }

    /** Waits for the next try; throws when there is none. */
    void await(Throwable thrown, boolean idempotent) {
      HeadworksException failed = HeadworksException.of(thrown);
      int most = failed.reason().equals("INTERNAL") ? Math.min(limit, 1) : limit;
      boolean again = (idempotent && failed.lost()) || (failed.fromGateway() && RETRIED.contains(failed.reason()) && failed.retryable());
      if (failed.noRetry() || !again || made >= most) {
        throw failed;
      }
      made++;
      double backoff = Math.min(200e6 * Math.pow(2, made - 1), 8e9) * ThreadLocalRandom.current().nextDouble(0.75, 1.25);
      long wait = failed.retryAfter().map(Duration::toNanos).orElse((long) backoff);
      if (System.nanoTime() + wait >= end) {
        throw failed;
      }
      try {
        TimeUnit.NANOSECONDS.sleep(wait);
      } catch (InterruptedException interrupted) {
        Thread.currentThread().interrupt();
        failed.addSuppressed(interrupted);
        throw failed;
      }
    }
  }

  private Channel channel(RequestOptions options) {
    Metadata headers = new Metadata();
    if (!apiKey.isEmpty()) {
      headers.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + apiKey);
    }
    options.metadata().forEach((name, value) -> headers.put(Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER), value));
    return ClientInterceptors.intercept(channel, MetadataUtils.newAttachHeadersInterceptor(headers));
  }

  <Q, R> R unary(MethodDescriptor<Q, R> method, Q request, boolean idempotent, RequestOptions options) {
    Tries tries = new Tries(options);
    Channel with = channel(options);
    while (true) {
      try {
        return ClientCalls.blockingUnaryCall(with, method, tries.callOptions(), request);
      } catch (RuntimeException thrown) {
        tries.await(thrown, idempotent);
      }
    }
  }

  /** One try of a streaming call, to be ended by its context. */
  <Q, R> Call<R> open(MethodDescriptor<Q, R> method, Q request, Tries tries, RequestOptions options) {
    Context.CancellableContext context = Context.current().withCancellation();
    Context before = context.attach();
    try {
      return new Call<>(ClientCalls.blockingServerStreamingCall(channel(options), method, tries.callOptions(), request), context);
    } finally {
      context.detach(before);
    }
  }

  /** A streaming call under way. */
  record Call<R>(Iterator<R> answers, Context.CancellableContext context) {}

  <Q, R> Answers<R> stream(MethodDescriptor<Q, R> method, Q request, boolean idempotent, RequestOptions options) {
    Tries tries = new Tries(options);
    return new Answers<>(() -> open(method, request, tries, options), tries, idempotent);
  }
}
