package io.headworks.client;

/** The client's version. */
public final class Version {
  /** As in the package's manifest. */
  public static final String VERSION = "0.1.0";

  private Version() {}
}
