package io.headworks.client;

import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.function.Supplier;

/**
 * A stream of answers, to be walked once; it blocks for the next. Close it when leaving early.
 *
 * @param <R> one answer
 */
public final class Answers<R> implements Iterable<R>, Iterator<R>, AutoCloseable {
  private final Supplier<Core.Call<R>> open;
  private final Core.Tries tries;
  private final boolean idempotent;
  private Core.Call<R> call;
  private boolean begun;

  Answers(Supplier<Core.Call<R>> open, Core.Tries tries, boolean idempotent) {
    this.open = open;
    this.tries = tries;
    this.idempotent = idempotent;
  }

  @Override
  public Iterator<R> iterator() {
    return this;
  }

  @Override
  public boolean hasNext() {
    while (true) {
      try {
        if (call == null) {
          call = open.get();
        }
        boolean more = call.answers().hasNext();
        begun = true;
        return more;
      } catch (RuntimeException thrown) {
        if (begun) {
          throw HeadworksException.of(thrown);
        }
        tries.await(thrown, idempotent);
        call = null;
      }
    }
  }

  @Override
  public R next() {
    if (!hasNext()) {
      throw new NoSuchElementException();
    }
    return call.answers().next();
  }

  @Override
  public void close() {
    if (call != null) {
      call.context().cancel(null);
    }
  }
}
