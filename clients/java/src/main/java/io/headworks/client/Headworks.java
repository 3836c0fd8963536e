package io.headworks.client;

import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.TlsChannelCredentials;
import io.headworks.v1.Chat;
import io.headworks.v1.CompleteRequest;
import java.net.URI;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/** A client of the gateway. Safe for use by several threads; close it in the end. */
public final class Headworks implements AutoCloseable {
  /** The largest message sent or taken, bytes. */
  static final int MESSAGE_LIMIT = 64 << 20;

  private final Core core;
  private final ChatClient chat;
  private final EmbeddingsClient embeddings;
  private final KeysClient keys;
  private final PoliciesClient policies;
  private final ModelsClient models;
  private final StreamsClient streams;
  private final UsageClient usage;

  private Headworks(Core core) {
    this.core = core;
    this.chat = new ChatClient(core);
    this.embeddings = new EmbeddingsClient(core);
    this.keys = new KeysClient(core);
    this.policies = new PoliciesClient(core);
    this.models = new ModelsClient(core);
    this.streams = new StreamsClient(core);
    this.usage = new UsageClient(core);
  }

  /** Makes a client of {@code HEADWORKS_URL} (else http://127.0.0.1:8080) and {@code HEADWORKS_API_KEY}. */
  public static Headworks create() {
    return builder().build();
  }

  /** Makes a client in other ways. */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Answers chats in one piece.
   */
  public ChatClient chat() {
    return chat;
  }

  /**
   * Turns texts into vectors.
   */
  public EmbeddingsClient embeddings() {
    return embeddings;
  }

  /**
   * Manages keys, groups and budgets. Needs the role ADMIN or KEY_MANAGER, to read READER too, but for a key that reads
   * itself. A key manager makes and changes no key with the role ADMIN or KEY_MANAGER. A key manager or reader that
   * belongs to a group reaches that group and what is in it alone; what is out of reach is NOT_FOUND. It reads its own
   * group but does not change it.
   */
  public KeysClient keys() {
    return keys;
  }

  /**
   * Manages policies: which targets serve a call, and in which order. Needs the role ADMIN; to
   * read, KEY_MANAGER or READER will do, and to explain and simulate, READER.
   */
  public PoliciesClient policies() {
    return policies;
  }

  /**
   * Tells which models and providers there are, and what they would make of a request. Admins add models and change them.
   */
  public ModelsClient models() {
    return models;
  }

  /**
   * Answers chats as they are written.
   */
  public StreamsClient streams() {
    return streams;
  }

  /**
   * Tells what was called and what it cost. A key sees its own calls; one with the role READER those of its group and
   * below, or all where it has no group; an admin all.
   */
  public UsageClient usage() {
    return usage;
  }

  /** Answers a chat in one piece. */
  public Reply complete(Chat chat) {
    return complete(chat, RequestOptions.DEFAULT);
  }

  /** Answers a chat in one piece. */
  public Reply complete(Chat chat, RequestOptions options) {
    return new Reply(this.chat.complete(CompleteRequest.newBuilder().setChat(chat).build(), options).getReply());
  }

  /** Answers a chat as it is written. The call is made with the first event asked for. */
  public ChatStream stream(Chat chat) {
    return stream(chat, RequestOptions.DEFAULT);
  }

  /** Answers a chat as it is written. */
  public ChatStream stream(Chat chat, RequestOptions options) {
    return new ChatStream(core, chat, options);
  }

  /** Ends the connection, after calls under way. */
  @Override
  public void close() {
    core.channel.shutdown();
    try {
      if (!core.channel.awaitTermination(5, TimeUnit.SECONDS)) {
        core.channel.shutdownNow();
      }
    } catch (InterruptedException interrupted) {
      core.channel.shutdownNow();
      Thread.currentThread().interrupt();
    }
  }

  /** How a client works. */
  public static final class Builder {
    private String baseUrl = or(System.getenv("HEADWORKS_URL"), "http://127.0.0.1:8080");
    private String apiKey = or(System.getenv("HEADWORKS_API_KEY"), "");
    private Duration timeout = Duration.ofMinutes(10);
    private int maxRetries = 2;
    private String userAgent = "";
    private ChannelCredentials credentials;

    private Builder() {}

    private static String or(String given, String otherwise) {
      return given == null || given.isEmpty() ? otherwise : given;
    }

    /** The gateway, such as {@code https://gateway.example}. */
    public Builder baseUrl(String baseUrl) {
      this.baseUrl = baseUrl;
      return this;
    }

    /** Its key. */
    public Builder apiKey(String apiKey) {
      this.apiKey = apiKey;
      return this;
    }

    /** Deadline of each call, retries included. Default: 10 minutes. */
    public Builder timeout(Duration timeout) {
      this.timeout = timeout;
      return this;
    }

    /** Tries after the first, where another can help. Default: 2. */
    public Builder maxRetries(int maxRetries) {
      this.maxRetries = maxRetries;
      return this;
    }

    /** Put before the client's own user agent. */
    public Builder userAgent(String userAgent) {
      this.userAgent = userAgent + " ";
      return this;
    }

    /** TLS by hand, for a private authority or a client certificate. */
    public Builder credentials(ChannelCredentials credentials) {
      this.credentials = credentials;
      return this;
    }

    /** Makes the client. The connection is made with the first call. */
    public Headworks build() {
      URI at = URI.create(baseUrl);
      boolean tls = "https".equals(at.getScheme());
      if (at.getHost() == null || !(tls || "http".equals(at.getScheme())) || !at.getPath().replace("/", "").isEmpty()) {
        throw new IllegalArgumentException("base URL \"" + baseUrl + "\" is not like http://127.0.0.1:8080 or https://gateway.example");
      }
      int port = at.getPort() > 0 ? at.getPort() : tls ? 443 : 80;
      ChannelCredentials with = credentials != null ? credentials : tls ? TlsChannelCredentials.create() : InsecureChannelCredentials.create();
      var channel = Grpc.newChannelBuilderForAddress(at.getHost(), port, with)
          .maxInboundMessageSize(MESSAGE_LIMIT)
          .userAgent(userAgent + "headworks-java/" + Version.VERSION + " java/" + Runtime.version().feature())
          .keepAliveTime(1, TimeUnit.MINUTES)
          .disableRetry()
          .build();
      return new Headworks(new Core(channel, apiKey, timeout, maxRetries));
    }
  }
}
