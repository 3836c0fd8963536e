package io.headworks.client;

import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.function.Function;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * A list that fetches its pages as it is walked.
 *
 * @param <T> one item
 * @param <P> one page
 */
public final class Pager<T, P> implements Iterable<T> {
  private final Function<String, P> fetch;
  private final Function<P, List<T>> items;
  private final Function<P, String> next;
  private final String first;

  Pager(Function<String, P> fetch, Function<P, List<T>> items, Function<P, String> next, String first) {
    this.fetch = fetch;
    this.items = items;
    this.next = next;
    this.first = first;
  }

  /** The pages themselves. */
  public Iterable<P> pages() {
    return () -> new Iterator<>() {
      private String token = first;

      @Override
      public boolean hasNext() {
        return token != null;
      }

      @Override
      public P next() {
        if (token == null) {
          throw new NoSuchElementException();
        }
        P page = fetch.apply(token);
        token = next.apply(page).isEmpty() ? null : next.apply(page);
        return page;
      }
    };
  }

  /** All items. */
  public Stream<T> stream() {
    return StreamSupport.stream(pages().spliterator(), false).flatMap(page -> items.apply(page).stream());
  }

  @Override
  public Iterator<T> iterator() {
    return stream().iterator();
  }
}
