package headworks

import (
	"context"
	"encoding/json"
	"strings"

	"google.golang.org/grpc"

	v1 "github.com/headworks/headworks/clients/go/headworksv1"
)

// Text is a part of text.
func Text(text string) *v1.Part { return &v1.Part{Kind: &v1.Part_Text{Text: text}} }

// ImageURL is a picture that the provider fetches.
func ImageURL(url string) *v1.Part {
	return &v1.Part{Kind: &v1.Part_Image{Image: &v1.Image{Source: &v1.Image_Url{Url: url}}}}
}

// ImageData is a picture by its bytes and media type.
func ImageData(data []byte, mimeType string) *v1.Part {
	return &v1.Part{Kind: &v1.Part_Image{Image: &v1.Image{Source: &v1.Image_Data{Data: data}, MimeType: mimeType}}}
}

// User is what the person says: a text, then more parts such as ImageURL.
func User(text string, more ...*v1.Part) *v1.Message { return message(v1.Role_ROLE_USER, text, more) }

// System is the application's instructions.
func System(text string) *v1.Message { return message(v1.Role_ROLE_SYSTEM, text, nil) }

// Assistant is what the model said. For its real answers, Reply.Message keeps more.
func Assistant(text string) *v1.Message { return message(v1.Role_ROLE_ASSISTANT, text, nil) }

func message(role v1.Role, text string, more []*v1.Part) *v1.Message {
	return &v1.Message{Role: role, Parts: append([]*v1.Part{Text(text)}, more...)}
}

// ToolResult is what a tool gave back for a call of Reply.ToolCalls.
func ToolResult(call *v1.ToolCall, text string) *v1.Message {
	result := &v1.ToolResult{ToolCallId: call.GetId(), Name: call.GetName(), Parts: []*v1.Part{Text(text)}}
	return &v1.Message{Role: v1.Role_ROLE_TOOL, Parts: []*v1.Part{ {Kind: &v1.Part_ToolResult{ToolResult: result}} }}
}

// Function is a tool that the application runs. parameters is the JSON Schema of its arguments.
func Function(name, description, parameters string) *v1.Tool {
	function := &v1.FunctionTool{Name: name, Description: description, ParametersJson: parameters}
	return &v1.Tool{Kind: &v1.Tool_Function{Function: function}}
}

// JSONSchema asks for JSON that follows a schema.
func JSONSchema(name, schema string) *v1.OutputFormat {
	return &v1.OutputFormat{Kind: &v1.OutputFormat_JsonSchema{JsonSchema: &v1.JsonSchemaFormat{Name: name, SchemaJson: schema}}}
}

// Reply is a whole answer.
type Reply struct{ *v1.ChatReply }

// Message is the first answer, to be put before the next turn.
func (r *Reply) Message() *v1.Message {
	if len(r.GetChoices()) == 0 {
		return &v1.Message{Role: v1.Role_ROLE_ASSISTANT}
	}
	return r.Choices[0].GetMessage()
}

// Text is the text of the first answer.
func (r *Reply) Text() string {
	var text strings.Builder
	for _, part := range r.Message().GetParts() {
		text.WriteString(part.GetText())
	}
	return text.String()
}

// Reasoning is what the model thought first, where it can be read.
func (r *Reply) Reasoning() string {
	var text strings.Builder
	for _, part := range r.Message().GetParts() {
		text.WriteString(part.GetReasoning().GetText())
	}
	return text.String()
}

// ToolCalls are calls for the application to run.
func (r *Reply) ToolCalls() []*v1.ToolCall {
	var calls []*v1.ToolCall
	for _, part := range r.Message().GetParts() {
		if call := part.GetToolCall(); call != nil {
			calls = append(calls, call)
		}
	}
	return calls
}

// Decode reads the text as JSON.
func (r *Reply) Decode(into any) error { return json.Unmarshal([]byte(r.Text()), into) }

// FinishReason says why the first answer ended.
func (r *Reply) FinishReason() v1.FinishReason {
	if len(r.GetChoices()) == 0 {
		return v1.FinishReason_FINISH_REASON_UNSPECIFIED
	}
	return r.Choices[0].GetFinishReason()
}

// CostUSD is what it cost, US dollars, exactly.
func (r *Reply) CostUSD() string { return USD(r.GetUsage().GetCostNanoUsd()) }

// Complete answers a chat in one piece.
func (c *Client) Complete(ctx context.Context, chat *v1.Chat, options ...grpc.CallOption) (*Reply, error) {
	answer, err := c.Chat.Complete(ctx, &v1.CompleteRequest{Chat: chat}, options...)
	if err != nil {
		return nil, err
	}
	return &Reply{answer.GetReply()}, nil
}

// fold makes an answer of events: a reply is the fold of its events.
type fold struct {
	reply *v1.ChatReply
	calls map[int32]*v1.ToolCall
}

func (f *fold) add(event *v1.StreamEvent) {
	reply := f.reply
	switch kind := event.GetKind().(type) {
	case *v1.StreamEvent_Started:
		begun := kind.Started
		reply.RequestId, reply.ServedBy, reply.Model, reply.Id = begun.RequestId, begun.ServedBy, begun.Model, begun.Id
		return
	case *v1.StreamEvent_Completed:
		reply.Usage, reply.Route = kind.Completed.Usage, kind.Completed.Route
		if id := kind.Completed.GetRoute().GetRequestId(); id != "" {
			reply.RequestId = id
		}
		return
	case *v1.StreamEvent_Recovered:
		reply.ServedBy = kind.Recovered.To
		return
	case *v1.StreamEvent_Restarted:
		reply.ServedBy, reply.Choices = kind.Restarted.To, nil
		clear(f.calls)
		return
	case nil:
		return
	}
	for int32(len(reply.Choices)) <= event.Choice {
		answer := &v1.Message{Role: v1.Role_ROLE_ASSISTANT}
		reply.Choices = append(reply.Choices, &v1.Choice{Index: int32(len(reply.Choices)), Message: answer})
	}
	f.grow(reply.Choices[event.Choice], event)
}

func (f *fold) grow(choice *v1.Choice, event *v1.StreamEvent) {
	message := choice.Message
	push := func(part *v1.Part) { message.Parts = append(message.Parts, part) }
	think := func(thought *v1.Reasoning) { push(&v1.Part{Kind: &v1.Part_Reasoning{Reasoning: thought}}) }
	last := &v1.Part{}
	if n := len(message.Parts); n > 0 {
		last = message.Parts[n-1]
	}
	open := last.GetReasoning()
	if open != nil && (len(open.Signature) > 0 || len(open.Redacted) > 0) {
		open = nil
	}
	switch kind := event.Kind.(type) {
	case *v1.StreamEvent_Text:
		if so, ok := last.Kind.(*v1.Part_Text); ok {
			so.Text += kind.Text
		} else {
			push(Text(kind.Text))
		}
	case *v1.StreamEvent_Refusal:
		if so, ok := last.Kind.(*v1.Part_Refusal); ok {
			so.Refusal += kind.Refusal
		} else {
			push(&v1.Part{Kind: &v1.Part_Refusal{Refusal: kind.Refusal}})
		}
	case *v1.StreamEvent_Reasoning:
		if open != nil {
			open.Text += kind.Reasoning
		} else {
			think(&v1.Reasoning{Text: kind.Reasoning})
		}
	case *v1.StreamEvent_ReasoningSignature:
		if open != nil {
			open.Signature = kind.ReasoningSignature
		} else {
			think(&v1.Reasoning{Signature: kind.ReasoningSignature})
		}
	case *v1.StreamEvent_RedactedReasoning:
		think(&v1.Reasoning{Redacted: kind.RedactedReasoning})
	case *v1.StreamEvent_ToolCallStarted:
		begun := kind.ToolCallStarted
		call := &v1.ToolCall{Id: begun.Id, Name: begun.Name, Signature: begun.Signature}
		f.calls[begun.Index] = call
		push(&v1.Part{Kind: &v1.Part_ToolCall{ToolCall: call}})
	case *v1.StreamEvent_ToolCallArguments:
		if call := f.calls[kind.ToolCallArguments.Index]; call != nil {
			call.ArgumentsJson += kind.ToolCallArguments.Piece
		}
	case *v1.StreamEvent_HostedJson:
		choice.HostedJson = append(choice.HostedJson, kind.HostedJson)
	case *v1.StreamEvent_LogprobsJson:
		choice.LogprobsJson = kind.LogprobsJson
	case *v1.StreamEvent_Opaque:
		push(&v1.Part{Kind: &v1.Part_Opaque{Opaque: kind.Opaque}})
	case *v1.StreamEvent_Finished:
		choice.FinishReason = kind.Finished.Reason
	}
}
