package headworks

import (
	"context"
	"io"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// retried are the reasons that another try can help.
var retried = map[Reason]bool{"RATE_LIMITED": true, "OVERLOADED": true, "ALL_TARGETS_FAILED": true, "INTERNAL": true}

type maxRetries struct {
	grpc.EmptyCallOption
	limit int
}

// WithMaxRetries sets the tries after the first, for one call.
func WithMaxRetries(limit int) grpc.CallOption { return maxRetries{limit: limit} }

// tries counts those of one call.
type tries struct {
	made, limit int
}

func (s *settings) tries(options []grpc.CallOption) *tries {
	t := &tries{limit: s.maxRetries}
	for _, option := range options {
		if option, ok := option.(maxRetries); ok {
			t.limit = option.limit
		}
	}
	return t
}

// wait waits for the next try; it returns the error when there is none.
func (t *tries) wait(ctx context.Context, e *Error, idempotent bool) error {
	limit := t.limit
	if e.Reason == "INTERNAL" {
		limit = min(limit, 1)
	}
	again := (idempotent && e.Lost()) || (e.FromGateway && retried[e.Reason] && e.Retryable())
	if e.NoRetry || !again || t.made >= limit || ctx.Err() != nil {
		return e
	}
	t.made++
	wait := time.Duration(float64(min(200*time.Millisecond<<(t.made-1), 8*time.Second)) * (0.75 + rand.Float64()/2))
	if e.RetryAfter > 0 {
		wait = e.RetryAfter
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return e
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fromStatus(ctx.Err(), nil)
	}
}

// repeatable says whether making a call twice is the same as making it once.
func repeatable(method string, request any) bool {
	if idempotent[method] {
		return true
	}
	message, ok := request.(proto.Message)
	return ok && hasRequestID(message.ProtoReflect(), 1)
}

func hasRequestID(message protoreflect.Message, depth int) bool {
	found := false
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if field.Name() == "request_id" {
			found = true
		} else if depth > 0 && field.Message() != nil && !field.IsList() && !field.IsMap() {
			found = hasRequestID(value.Message(), depth-1)
		}
		return !found
	})
	return found
}

func (s *settings) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.apiKey != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+s.apiKey)
	}
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, s.timeout)
}

func (s *settings) unary(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	ctx, cancel := s.begin(ctx)
	defer cancel()
	for t := s.tries(options); ; {
		var trailer metadata.MD
		err := invoke(ctx, method, request, reply, conn, append(options, grpc.Trailer(&trailer))...)
		if err == nil {
			return nil
		}
		if err := t.wait(ctx, fromStatus(err, trailer), repeatable(method, request)); err != nil {
			return err
		}
	}
}

func (s *settings) stream(ctx context.Context, about *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
	ctx, cancel := s.begin(ctx)
	again := func() (grpc.ClientStream, error) { return open(ctx, about, conn, method, options...) }
	inner, err := again()
	if err != nil {
		cancel()
		return nil, fromStatus(err, nil)
	}
	return &retriedStream{ClientStream: inner, ctx: ctx, cancel: cancel, open: again, method: method, tries: s.tries(options)}, nil
}

// retriedStream is a stream of answers that is opened again while nothing came of it.
type retriedStream struct {
	grpc.ClientStream
	ctx    context.Context
	cancel context.CancelFunc
	open   func() (grpc.ClientStream, error)
	method string
	tries  *tries
	sent   any
	begun  bool
}

func (r *retriedStream) SendMsg(message any) error {
	r.sent = message
	return r.ClientStream.SendMsg(message)
}

func (r *retriedStream) RecvMsg(message any) error {
	for {
		err := r.ClientStream.RecvMsg(message)
		if err == nil {
			r.begun = true
			return nil
		}
		if err == io.EOF {
			r.cancel()
			return err
		}
		failed := fromStatus(err, r.Trailer())
		if r.begun {
			r.cancel()
			return failed
		}
		if err := r.tries.wait(r.ctx, failed, repeatable(r.method, r.sent)); err != nil {
			r.cancel()
			return err
		}
		inner, err := r.open()
		if err == nil {
			if err = inner.SendMsg(r.sent); err == nil || err == io.EOF {
				err = inner.CloseSend()
			}
		}
		if err != nil {
			r.cancel()
			return fromStatus(err, nil)
		}
		r.ClientStream = inner
	}
}
