// The scenarios by the Go client.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"

	headworks "github.com/headworks/headworks/clients/go"
	v1 "github.com/headworks/headworks/clients/go/headworksv1"
)

type scenario struct {
	ID, Model, Prompt, Text, Tool, Result, Field, Png, Reason, Partial string
	Schema                                                             json.RawMessage
	MinInputTokens                                                     int64 `json:"min_input_tokens"`
	TimeoutMs                                                          int   `json:"timeout_ms"`
	Cases                                                              []struct{ Model, Reason string }
	WrongKey                                                           string `json:"wrong_key"`
	NoMessages                                                         string `json:"no_messages"`
	Models, Targets                                                    []string
	Tries, Keys, Attempts                                              int
	PageSize                                                           int32  `json:"page_size"`
	ServedBy                                                           string `json:"served_by"`
	LimitNanoUsd                                                       int64  `json:"limit_nano_usd"`
	GroupBy                                                            string `json:"group_by"`
	WordBytes                                                          int    `json:"word_bytes"`
}

var (
	ctx    = context.Background()
	client = must(headworks.New("", ""))
	fake   = must(headworks.New(os.Getenv("HEADWORKS_FAKE_URL"), "k"))
	serial int
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func check(good bool, what ...any) {
	if !good {
		panic(fmt.Errorf("not so: %v", what))
	}
}

func unique() string {
	serial++
	return fmt.Sprintf("go%d-%d", os.Getpid(), serial)
}

func list[T any](items iter.Seq2[T, error]) (all []T) {
	for item, err := range items {
		all = append(all, must(item, err))
	}
	return all
}

func failure(err error) *headworks.Error {
	var failed *headworks.Error
	if !errors.As(err, &failed) {
		panic(fmt.Errorf("no error of the client's came, but %v", err))
	}
	return failed
}

func ask(model, prompt string) *v1.Chat {
	return &v1.Chat{Model: model, Messages: []*v1.Message{headworks.User(prompt)}}
}

func record(id string) *v1.RequestRecord {
	for range 100 {
		got, err := client.Usage.GetRequest(ctx, &v1.GetRequestRequest{Id: id})
		if err == nil {
			return got.Request
		}
		if failure(err).Reason != headworks.ReasonNotFound {
			panic(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	panic("no record of " + id)
}

func tagged(test string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "x-test", test)
}

func tries(model, test string) int {
	return must(strconv.Atoi(must(fake.Complete(tagged(test), &v1.Chat{Model: "tries", User: model})).Text()))
}

func chain(s scenario) string {
	name := "sdk-" + unique()
	fallback := &v1.FallbackChain{}
	for _, model := range s.Targets {
		fallback.Targets = append(fallback.Targets, &v1.PolicyTarget{Model: model})
	}
	made := must(client.Policies.CreatePolicy(ctx, &v1.CreatePolicyRequest{Policy: &v1.Policy{Name: name, Kind: &v1.Policy_Fallback{Fallback: fallback}}}))
	check(made.Policy.Version == 1)
	check(must(client.Policies.GetPolicy(ctx, &v1.GetPolicyRequest{Name: name})).Policy.Etag == made.Policy.Etag)
	return name
}

var run = map[string]func(scenario){
	"complete": func(s scenario) {
		reply := must(client.Complete(ctx, ask(s.Model, s.Prompt)))
		check(reply.Text() == s.Text && reply.ServedBy == s.Model && reply.FinishReason() == v1.FinishReason_FINISH_REASON_STOP, reply)
		check(reply.Usage.PromptTokens > 0 && must(headworks.ParseUSD(reply.CostUSD())) == reply.Usage.CostNanoUsd && reply.Usage.CostNanoUsd > 0)
		check(len(reply.Route.Attempts) == 1 && reply.Route.Attempts[0].Outcome == v1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCESS)
	},
	"stream": func(s scenario) {
		events := list(client.Stream(ctx, ask(s.Model, s.Prompt)).Events())
		for at, event := range events {
			check(event.Sequence == int64(at+1), event)
		}
		check(events[0].GetStarted() != nil && events[len(events)-1].GetCompleted() != nil)
		pieces := list(client.Stream(ctx, ask(s.Model, s.Prompt)).Text())
		check(len(pieces) > 1 && strings.Join(pieces, "") == s.Text, pieces)
		reply := must(client.Stream(ctx, ask(s.Model, s.Prompt)).Collect())
		check(reply.Text() == s.Text && reply.Usage.CostNanoUsd > 0)
	},
	"tools": func(s scenario) {
		tool := headworks.Function(s.Tool, "Tells the weather", `{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}`)
		for _, answer := range []func(*v1.Chat) *headworks.Reply{
			func(c *v1.Chat) *headworks.Reply { return must(client.Complete(ctx, c)) },
			func(c *v1.Chat) *headworks.Reply { return must(client.Stream(ctx, c).Collect()) },
		} {
			chat, one := ask(s.Model, s.Prompt), false
			chat.Tools, chat.ParallelToolCalls = []*v1.Tool{tool}, &one
			reply := answer(chat)
			calls := reply.ToolCalls()
			check(len(calls) == 1 && calls[0].Name == s.Tool && strings.Contains(calls[0].ArgumentsJson, "city"), calls)
			check(reply.FinishReason() == v1.FinishReason_FINISH_REASON_TOOL_CALLS)
			chat.Messages = append(chat.Messages, reply.Message(), headworks.ToolResult(calls[0], s.Result))
			after := answer(chat)
			check(strings.Contains(after.Text(), s.Tool) && len(after.ToolCalls()) == 0, after)
		}
	},
	"structured": func(s scenario) {
		chat := ask(s.Model, s.Prompt)
		chat.Output = headworks.JSONSchema("city", string(s.Schema))
		var city map[string]string
		check(must(client.Complete(ctx, chat)).Decode(&city) == nil && city[s.Field] != "", city)
	},
	"image": func(s scenario) {
		chat := ask(s.Model, s.Prompt)
		chat.Messages = []*v1.Message{headworks.User(s.Prompt, headworks.ImageData(must(base64.StdEncoding.DecodeString(s.Png)), "image/png"))}
		reply := must(client.Complete(ctx, chat))
		check(reply.Text() == s.Prompt && reply.Usage.PromptTokens >= s.MinInputTokens, reply)
	},
	"cancel": func(s scenario) {
		left := client.Stream(ctx, ask(s.Model, s.Prompt))
		for _, err := range left.Text() {
			check(err == nil, err)
			break
		}
		check(record(left.SoFar().RequestId).Outcome == v1.AttemptOutcome_ATTEMPT_OUTCOME_CANCELLED)
		within, cancel := context.WithCancel(ctx)
		ended := client.Stream(within, ask(s.Model, s.Prompt))
		must(ended.Next())
		cancel()
		_, err := ended.Collect()
		check(failure(err).Reason == headworks.ReasonCancelled, err)
		check(record(ended.SoFar().RequestId).Outcome == v1.AttemptOutcome_ATTEMPT_OUTCOME_CANCELLED)
		told := client.Stream(ctx, ask(s.Model, s.Prompt))
		must(told.Next())
		check(told.Cancel(ctx) == nil)
		check(record(told.SoFar().RequestId).Outcome == v1.AttemptOutcome_ATTEMPT_OUTCOME_CANCELLED)
	},
	"deadline": func(s scenario) {
		within, cancel := context.WithTimeout(ctx, time.Duration(s.TimeoutMs)*time.Millisecond)
		defer cancel()
		_, err := client.Complete(within, ask(s.Model, s.Prompt))
		check(string(failure(err).Reason) == s.Reason && failure(err).Code == codes.DeadlineExceeded, err)
	},
	"resume-live": func(s scenario) {
		chat := ask(s.Model, s.Prompt)
		chat.ResumeWindow = durationpb.New(time.Minute)
		stream := client.Stream(ctx, chat)
		events := list(stream.Events())
		rest := must(client.Streams.Resume(ctx, &v1.ResumeRequest{StreamId: stream.StreamID(), AfterSequence: 3}))
		for _, event := range events[3:] {
			check(must(rest.Recv()).Event.Sequence == event.Sequence)
		}
	},
	"resume": func(s scenario) {
		chat := ask(s.Model, "x")
		stream := fake.Stream(ctx, chat)
		events := list(stream.Events())
		for at, event := range events {
			check(event.Sequence == int64(at+1), event)
		}
		check(len(events) == 9 && stream.SoFar().Text() == s.Text && stream.Resumes() == 2, stream.SoFar(), stream.Resumes())
	},
	"no-resume": func(s scenario) {
		once := ask(s.Model, "x")
		once.ResumeWindow = durationpb.New(0)
		stream := fake.Stream(ctx, once)
		_, err := stream.Collect()
		check(failure(err).Lost() && stream.SoFar().Text() == s.Partial && stream.Resumes() == 0, err)
	},
	"reasons": func(s scenario) {
		for _, one := range s.Cases {
			_, err := client.Complete(ctx, ask(one.Model, "x"))
			check(string(failure(err).Reason) == one.Reason && failure(err).FromGateway && failure(err).Metadata["attempts"] != "", err)
		}
		_, err := must(headworks.New("", "wrong")).Complete(ctx, ask("sandbox/echo", "x"))
		check(string(failure(err).Reason) == s.WrongKey && !failure(err).Retryable(), err)
		_, err = client.Complete(ctx, &v1.Chat{Model: "sandbox/echo"})
		check(string(failure(err).Reason) == s.NoMessages && strings.Contains(failure(err).Violations[0].Field, "messages"), err)
	},
	"retry": func(s scenario) {
		for _, limit := range []int{2, 1} {
			test := unique()
			reply, err := fake.Complete(tagged(test), ask(s.Model, "x"), headworks.WithMaxRetries(limit))
			if limit == 2 {
				check(must(reply, err).Text() == s.Text)
			} else {
				check(failure(err).Reason == headworks.ReasonOverloaded, err)
			}
			check(tries(s.Model, test) == limit+1)
		}
		agent := must(fake.Complete(ctx, ask("agent", "x"))).Text()
		check(strings.HasPrefix(agent, "headworks-go/"), agent)
	},
	"no-retry": func(s scenario) {
		for _, model := range s.Models {
			test := unique()
			_, err := fake.Complete(tagged(test), ask(model, "x"))
			failure(err)
			check(tries(model, test) == s.Tries, model)
		}
	},
	"paging": func(s scenario) {
		mark := unique() + "/"
		for at := range s.Keys {
			must(client.Keys.CreateKey(ctx, &v1.CreateKeyRequest{Key: &v1.Key{Name: fmt.Sprint(mark, at)}}))
		}
		found := 0
		for key, err := range client.Keys.ListKeysAll(ctx, &v1.ListKeysRequest{PageSize: s.PageSize}) {
			if strings.HasPrefix(must(key, err).Name, mark) {
				found++
			}
		}
		check(found == s.Keys, found)
		check(len(must(client.Keys.ListKeys(ctx, &v1.ListKeysRequest{PageSize: s.PageSize})).Keys) == int(s.PageSize))
	},
	"policy": func(s scenario) {
		name := chain(s)
		reply := must(client.Complete(ctx, ask("policy/"+name, s.Prompt)))
		check(reply.Text() == s.Text && reply.ServedBy == s.ServedBy && len(reply.Route.Attempts) == s.Attempts, reply)
		found := false
		for policy, err := range client.Policies.ListPoliciesAll(ctx, &v1.ListPoliciesRequest{}) {
			found = found || must(policy, err).Name == name
		}
		check(found)
		must(client.Policies.DeletePolicy(ctx, &v1.DeletePolicyRequest{Name: name}))
	},
	"explain": func(s scenario) {
		told := must(client.Policies.ExplainRoute(ctx, &v1.ExplainRouteRequest{Chat: ask("policy/"+chain(s), "x")}))
		check(told.Targets[0].Target == s.Targets[0] && told.Targets[1].Target == s.Targets[1], told)
	},
	"budget": func(s scenario) {
		made := must(client.Keys.CreateKey(ctx, &v1.CreateKeyRequest{Key: &v1.Key{Name: "poor", Budget: &v1.Budget{LimitNanoUsd: s.LimitNanoUsd}}}))
		_, err := must(headworks.New("", made.Secret)).Complete(ctx, ask(s.Model, "x"))
		failed := failure(err)
		check(string(failed.Reason) == s.Reason && !failed.Retryable() && failed.Code == codes.ResourceExhausted, err)
	},
	"usage": func(s scenario) {
		chat := ask(s.Model, s.Prompt)
		chat.Tags = []string{"sdk"}
		reply := must(client.Complete(ctx, chat))
		kept := record(reply.RequestId)
		check(kept.Usage.CostNanoUsd == reply.Usage.CostNanoUsd && len(kept.Tags) == 1 && kept.ServedBy == s.Model, kept)
	},
	"usage-query": func(s scenario) {
		must(client.Complete(ctx, ask("sandbox/echo", "x")))
		found := false
		for row, err := range client.Usage.QueryUsageAll(ctx, &v1.QueryUsageRequest{GroupBy: []string{s.GroupBy}}) {
			found = found || must(row, err).RequestCount > 0 && row.Usage.CostNanoUsd > 0
		}
		check(found)
	},
	"watch": func(s scenario) {
		within, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		told := make(chan error, 1)
		watch := must(client.Usage.WatchRequests(within, &v1.WatchRequestsRequest{}))
		go func() { _, err := watch.Recv(); told <- err }()
		for range 20 {
			must(client.Complete(ctx, ask(s.Model, s.Prompt)))
			select {
			case err := <-told:
				must(0, err)
				return
			case <-time.After(500 * time.Millisecond):
			}
		}
		panic("nothing was told")
	},
	"large": func(s scenario) {
		chat := ask(s.Model, "look")
		chat.Messages = []*v1.Message{headworks.User("look", headworks.ImageData([]byte(strings.Repeat("x", s.WordBytes)), "image/png"))}
		check(must(client.Complete(ctx, chat)).Text() == "look")
	},
}

func one(s scenario) {
	defer func() {
		caught := recover()
		var failed *headworks.Error
		if err, ok := caught.(error); ok && errors.As(err, &failed) && failed.Reason == headworks.ReasonNotImplemented {
			fmt.Println("UNSERVED", s.ID)
		} else if caught != nil {
			fmt.Printf("FAIL %s: %v\n", s.ID, caught)
		} else {
			fmt.Println("PASS", s.ID)
		}
	}()
	run[s.ID](s)
}

func main() {
	var all []scenario
	must(0, json.Unmarshal(must(os.ReadFile(os.Getenv("HEADWORKS_SCENARIOS"))), &all))
	for _, s := range all {
		one(s)
	}
}
