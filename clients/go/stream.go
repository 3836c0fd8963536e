package headworks

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	v1 "github.com/headworks/headworks/clients/go/headworksv1"
)

// ChatStream is an answer as it is written. Range over Events for events, over Text for text alone, or Collect the
// whole answer; Close it when leaving early. A lost connection is taken up where it broke, for a minute or the chat's
// ResumeWindow; one of 0 turns that off. It is for one goroutine.
type ChatStream struct {
	client  *Client
	chat    *v1.Chat
	ctx     context.Context
	end     context.CancelFunc
	options []grpc.CallOption
	tries   *tries
	receive func() (*v1.StreamEvent, error)
	fold    fold

	streamID string
	sequence int64
	resumes  int
	over     bool
}

// How long a stream can be taken up again where the chat does not say.
const resumeWindow = time.Minute

// Stream answers a chat as it is written. The call is made with the first event asked for.
func (c *Client) Stream(ctx context.Context, chat *v1.Chat, options ...grpc.CallOption) *ChatStream {
	ctx, end := context.WithCancel(ctx)
	if chat.GetResumeWindow() == nil && chat != nil {
		chat = proto.Clone(chat).(*v1.Chat)
		chat.ResumeWindow = durationpb.New(resumeWindow)
	}
	s := &settings{maxRetries: c.maxRetries}
	return &ChatStream{client: c, chat: chat, ctx: ctx, end: end, options: options, tries: s.tries(options),
		fold: fold{reply: &v1.ChatReply{}, calls: map[int32]*v1.ToolCall{}}}
}

// StreamID identifies the stream. Empty until its first event.
func (s *ChatStream) StreamID() string { return s.streamID }

// Resumes is how often a lost connection was taken up.
func (s *ChatStream) Resumes() int { return s.resumes }

// SoFar is the answer as far as it was read.
func (s *ChatStream) SoFar() *Reply { return &Reply{s.fold.reply} }

func (s *ChatStream) open() error {
	if s.streamID == "" {
		stream, err := s.client.Streams.Stream(s.ctx, &v1.StreamRequest{Chat: s.chat}, s.options...)
		if err != nil {
			return err
		}
		s.receive = func() (*v1.StreamEvent, error) { r, err := stream.Recv(); return r.GetEvent(), err }
		return nil
	}
	rest := &v1.ResumeRequest{StreamId: s.streamID, AfterSequence: s.sequence}
	stream, err := s.client.Streams.Resume(s.ctx, rest, s.options...)
	if err != nil {
		return err
	}
	s.resumes++
	s.receive = func() (*v1.StreamEvent, error) { r, err := stream.Recv(); return r.GetEvent(), err }
	return nil
}

// Next is the next event; io.EOF after the last.
func (s *ChatStream) Next() (*v1.StreamEvent, error) {
	for {
		var event *v1.StreamEvent
		var err error
		if s.receive == nil {
			err = s.open()
		}
		if err == nil {
			event, err = s.receive()
		}
		if err == io.EOF {
			s.over = true
			s.end()
			return nil, err
		}
		if err != nil {
			s.receive = nil
			var failed *Error
			if !errors.As(err, &failed) {
				failed = fromStatus(err, nil)
			}
			// Before the first event the client's own retries were spent already.
			if s.streamID == "" || !s.resumable() || !failed.Lost() {
				s.Close()
				return nil, failed
			}
			if err := s.tries.wait(s.ctx, failed, true); err != nil {
				s.Close()
				return nil, err
			}
			continue
		}
		if event.GetSequence() > 0 && event.GetSequence() <= s.sequence {
			continue
		}
		s.sequence, s.tries.made = event.GetSequence(), 0
		if started := event.GetStarted(); started != nil {
			s.streamID = started.StreamId
		}
		s.fold.add(event)
		return event, nil
	}
}

// Events are the events, in order. An error is the last.
func (s *ChatStream) Events() iter.Seq2[*v1.StreamEvent, error] {
	return func(yield func(*v1.StreamEvent, error) bool) {
		for {
			event, err := s.Next()
			if err == io.EOF {
				return
			}
			if !yield(event, err) {
				s.Close()
				return
			}
			if err != nil {
				return
			}
		}
	}
}

// Text is the text of the first answer, piece by piece.
func (s *ChatStream) Text() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for event, err := range s.Events() {
			if err != nil {
				yield("", err)
				return
			}
			if text, ok := event.Kind.(*v1.StreamEvent_Text); ok && event.Choice == 0 && !yield(text.Text, nil) {
				return
			}
		}
	}
}

// Collect reads to the end; the whole answer, with what was read before. With an error comes what there is of it.
func (s *ChatStream) Collect() (*Reply, error) {
	for _, err := range s.Events() {
		if err != nil {
			return s.SoFar(), err
		}
	}
	return s.SoFar(), nil
}

// Cancel ends the stream at the gateway, also one with a ResumeWindow.
func (s *ChatStream) Cancel(ctx context.Context) error {
	defer s.Close()
	if s.streamID == "" {
		return nil
	}
	s.over = true
	_, err := s.client.Streams.Cancel(ctx, &v1.CancelRequest{StreamId: s.streamID})
	return err
}

func (s *ChatStream) resumable() bool { return s.chat.GetResumeWindow().AsDuration() > 0 }

// Close leaves the stream, and ends its call.
func (s *ChatStream) Close() {
	s.end()
	if s.over || s.streamID == "" || !s.resumable() {
		return
	}
	s.over = true
	// The gateway would go on for a client that may come back. If this fails, the call ends with its window.
	go func() {
		ctx, end := context.WithTimeout(context.WithoutCancel(s.ctx), 5*time.Second)
		defer end()
		_, _ = s.client.Streams.Cancel(ctx, &v1.CancelRequest{StreamId: s.streamID})
	}()
}
