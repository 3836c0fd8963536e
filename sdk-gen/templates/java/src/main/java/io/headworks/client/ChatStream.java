package io.headworks.client;

import com.google.protobuf.Duration;
import io.headworks.v1.CancelRequest;
import io.headworks.v1.Chat;
import io.headworks.v1.ResumeRequest;
import io.headworks.v1.ResumeResponse;
import io.headworks.v1.StreamEvent;
import io.headworks.v1.StreamRequest;
import io.headworks.v1.StreamResponse;
import io.headworks.v1.StreamServiceGrpc;
import io.grpc.Context;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.function.Supplier;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * An answer as it is written. Walk it once: for events, over {@link #text()} for text alone, or {@link #collect()} the
 * whole answer. Close it when leaving early; that ends the call. A lost connection is taken up where it broke, for a
 * minute or the chat's {@code resume_window}; one of 0 turns that off. It is for one thread.
 */
public final class ChatStream implements Iterable<StreamEvent>, Iterator<StreamEvent>, AutoCloseable {
  /** How long a stream can be taken up again where the chat does not say. */
  private static final Duration RESUME_WINDOW = Duration.newBuilder().setSeconds(60).build();

  private final Core core;
  private final Chat chat;
  private final RequestOptions options;
  private final Core.Tries tries;
  private final Fold fold = new Fold();
  private Supplier<StreamEvent> events;
  private Context.CancellableContext context;
  private StreamEvent next;
  private boolean over;
  private String streamId = "";
  private long sequence;
  private int resumes;

  ChatStream(Core core, Chat chat, RequestOptions options) {
    this.core = core;
    this.chat = chat.hasResumeWindow() ? chat : chat.toBuilder().setResumeWindow(RESUME_WINDOW).build();
    this.options = options;
    this.tries = core.new Tries(options);
  }

  /** Identifies the stream. Empty until its first event. */
  public String streamId() {
    return streamId;
  }

  /** How often a lost connection was taken up. */
  public int resumes() {
    return resumes;
  }

  /** The answer as far as it was read. */
  public Reply soFar() {
    return fold.reply();
  }

  private void open() {
    if (streamId.isEmpty()) {
      var request = StreamRequest.newBuilder().setChat(chat).build();
      Core.Call<StreamResponse> call = core.open(StreamServiceGrpc.getStreamMethod(), request, tries, options);
      context = call.context();
      events = () -> call.answers().hasNext() ? call.answers().next().getEvent() : null;
    } else {
      var request = ResumeRequest.newBuilder().setStreamId(streamId).setAfterSequence(sequence).build();
      Core.Call<ResumeResponse> call = core.open(StreamServiceGrpc.getResumeMethod(), request, tries, options);
      context = call.context();
      events = () -> call.answers().hasNext() ? call.answers().next().getEvent() : null;
      resumes++;
    }
  }

  private StreamEvent fetch() {
    while (true) {
      StreamEvent event;
      try {
        if (events == null) {
          open();
        }
        event = events.get();
      } catch (RuntimeException thrown) {
        events = null;
        HeadworksException failed = HeadworksException.of(thrown);
        boolean begun = !streamId.isEmpty();
        if (begun && !(resumable() && failed.lost())) {
          over = true;
          throw failed;
        }
        tries.await(failed, begun || !chat.getRequestId().isEmpty());
        continue;
      }
      if (event == null || event.getSequence() == 0 || event.getSequence() > sequence) {
        return event;
      }
    }
  }

  @Override
  public boolean hasNext() {
    if (next == null && !over) {
      next = fetch();
      over = next == null;
    }
    return next != null;
  }

  @Override
  public StreamEvent next() {
    if (!hasNext()) {
      throw new NoSuchElementException();
    }
    StreamEvent event = next;
    next = null;
    sequence = event.getSequence();
    tries.progress();
    if (event.hasStarted()) {
      streamId = event.getStarted().getStreamId();
    }
    fold.add(event);
    return event;
  }

  @Override
  public Iterator<StreamEvent> iterator() {
    return this;
  }

  /** The events as a stream of Java's. */
  public Stream<StreamEvent> stream() {
    return StreamSupport.stream(spliterator(), false).onClose(this::close);
  }

  /** The pieces of text of the first answer. */
  public Iterable<String> text() {
    return () -> stream().filter(event -> event.getChoice() == 0 && event.hasText()).map(StreamEvent::getText).iterator();
  }

  /** Reads to the end; the whole answer, with what was read before. */
  public Reply collect() {
    while (hasNext()) {
      next();
    }
    return soFar();
  }

  /** Ends the stream at the gateway, also one with a {@code resume_window}. */
  public void cancel() {
    over = true;
    if (!streamId.isEmpty()) {
      end();
    }
    close();
  }

  private void end() {
    core.unary(StreamServiceGrpc.getCancelMethod(), CancelRequest.newBuilder().setStreamId(streamId).build(), true, options);
  }

  private boolean resumable() {
    return chat.getResumeWindow().getSeconds() > 0 || chat.getResumeWindow().getNanos() > 0;
  }

  /** Leaves the stream, and ends its call. */
  @Override
  public void close() {
    boolean left = !over && !streamId.isEmpty() && resumable();
    over = true;
    if (context != null) {
      context.cancel(null);
    }
    if (left) {
      try {
        end();
      } catch (HeadworksException gone) {
        // It is over, or ends with its window.
      }
    }
  }
}
