// Package headworks is a client of Headworks, the gRPC-first gateway to language models.
//
// The messages and stubs of headworks.v1 are in the package headworksv1.
package headworks

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/url"
	"os"
	"runtime"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/proto"

	v1 "github.com/headworks/headworks/clients/go/headworksv1"
)

// messageLimit is the largest message sent or taken, bytes.
const messageLimit = 64 << 20

type settings struct {
	apiKey     string
	timeout    time.Duration
	maxRetries int
	userAgent  string
	creds      credentials.TransportCredentials
	dial       []grpc.DialOption
}

// Option says how a Client works.
type Option func(*settings)

// WithTimeout sets the deadline of calls whose context has none. Default: 10 minutes.
func WithTimeout(timeout time.Duration) Option { return func(s *settings) { s.timeout = timeout } }

// WithRetries sets the tries after the first, where another can help. Default: 2.
func WithRetries(limit int) Option { return func(s *settings) { s.maxRetries = limit } }

// WithUserAgent puts a name before the client's own.
func WithUserAgent(agent string) Option { return func(s *settings) { s.userAgent = agent + " " } }

// WithCredentials sets TLS by hand, for a private authority or a client certificate.
func WithCredentials(creds credentials.TransportCredentials) Option {
	return func(s *settings) { s.creds = creds }
}

// WithDialOptions adds options of gRPC's own.
func WithDialOptions(options ...grpc.DialOption) Option {
	return func(s *settings) { s.dial = append(s.dial, options...) }
}

// Client is a client of the gateway. It is safe for use by several goroutines.
type Client struct {
	conn       *grpc.ClientConn
	maxRetries int
	// Answers chats in one piece.
	Chat Chat
	// Turns texts into vectors.
	Embeddings Embeddings
	// Manages keys, groups and budgets. Needs the role ADMIN or KEY_MANAGER, to read READER too, but for a key that reads
	// itself. A key manager makes and changes no key with the role ADMIN or KEY_MANAGER. A key manager or reader that
	// belongs to a group reaches that group and what is in it alone; what is out of reach is NOT_FOUND. It reads its own
	// group but does not change it.
	Keys Keys
	// Manages policies: which targets serve a call, and in which order. Needs the role ADMIN; to
	// read, KEY_MANAGER or READER will do, and to explain and simulate, READER.
	Policies Policies
	// Tells which models and providers there are, and what they would make of a request. Admins add models and change them.
	Models Models
	// Answers chats as they are written.
	Streams Streams
	// Tells what was called and what it cost. A key sees its own calls; one with the role READER those of its group and
	// below, or all where it has no group; an admin all.
	Usage Usage
}

// New makes a client. Empty arguments mean HEADWORKS_URL, then http://127.0.0.1:8080, and HEADWORKS_API_KEY.
// The connection is made with the first call.
func New(baseURL, apiKey string, options ...Option) (*Client, error) {
	baseURL = cmp.Or(baseURL, os.Getenv("HEADWORKS_URL"), "http://127.0.0.1:8080")
	s := &settings{apiKey: cmp.Or(apiKey, os.Getenv("HEADWORKS_API_KEY")), timeout: 10 * time.Minute, maxRetries: 2}
	for _, option := range options {
		option(s)
	}
	at, err := url.Parse(baseURL)
	if err != nil || at.Hostname() == "" || (at.Scheme != "http" && at.Scheme != "https") || strings.Trim(at.Path, "/") != "" {
		return nil, fmt.Errorf("headworks: base URL %q is not like http://127.0.0.1:8080 or https://gateway.example", baseURL)
	}
	port := "80"
	if at.Scheme == "https" {
		port = "443"
		if s.creds == nil {
			s.creds = credentials.NewTLS(nil)
		}
	}
	if s.creds == nil {
		s.creds = insecure.NewCredentials()
	}
	if at.Port() == "" {
		at.Host += ":" + port
	}
	conn, err := grpc.NewClient(at.Host, append([]grpc.DialOption{
		grpc.WithTransportCredentials(s.creds),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageLimit), grpc.MaxCallSendMsgSize(messageLimit)),
		grpc.WithUserAgent(fmt.Sprintf("%sheadworks-go/%s %s", s.userAgent, Version, runtime.Version())),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: time.Minute}),
		grpc.WithDisableRetry(),
		grpc.WithChainUnaryInterceptor(s.unary),
		grpc.WithChainStreamInterceptor(s.stream),
	}, s.dial...)...)
	if err != nil {
		return nil, fmt.Errorf("headworks: %w", err)
	}
	return &Client{
		conn:       conn,
		maxRetries: s.maxRetries,
		Chat:       Chat{v1.NewChatServiceClient(conn)},
		Embeddings: Embeddings{v1.NewEmbeddingServiceClient(conn)},
		Keys:       Keys{v1.NewKeyServiceClient(conn)},
		Policies:   Policies{v1.NewPolicyServiceClient(conn)},
		Models:     Models{v1.NewModelServiceClient(conn)},
		Streams:    Streams{v1.NewStreamServiceClient(conn)},
		Usage:      Usage{v1.NewUsageServiceClient(conn)},
	}, nil
}

// Close ends the connection; calls under way fail.
func (c *Client) Close() error { return c.conn.Close() }

// idempotent are the methods that may be made twice.
var idempotent = map[string]bool{
	"/headworks.v1.KeyService/GetKey":                true,
	"/headworks.v1.KeyService/ListKeys":              true,
	"/headworks.v1.KeyService/RevokeKey":             true,
	"/headworks.v1.KeyService/GetGroup":              true,
	"/headworks.v1.KeyService/ListGroups":            true,
	"/headworks.v1.KeyService/GetBudget":             true,
	"/headworks.v1.KeyService/ListAlerts":            true,
	"/headworks.v1.KeyService/WatchAlerts":           true,
	"/headworks.v1.PolicyService/GetPolicy":          true,
	"/headworks.v1.PolicyService/ListPolicies":       true,
	"/headworks.v1.PolicyService/ListPolicyVersions": true,
	"/headworks.v1.PolicyService/ExplainRoute":       true,
	"/headworks.v1.PolicyService/SimulatePolicy":     true,
	"/headworks.v1.ModelService/ListModels":          true,
	"/headworks.v1.ModelService/GetModel":            true,
	"/headworks.v1.ModelService/ListProviders":       true,
	"/headworks.v1.StreamService/Resume":             true,
	"/headworks.v1.StreamService/Cancel":             true,
	"/headworks.v1.UsageService/QueryUsage":          true,
	"/headworks.v1.UsageService/ListRequests":        true,
	"/headworks.v1.UsageService/GetRequest":          true,
	"/headworks.v1.UsageService/WatchRequests":       true,
	"/headworks.v1.UsageService/ExportRequests":      true,
}

// walk fetches pages as they are walked. The caller's request is not changed.
func walk[Q proto.Message, P interface{ GetNextPageToken() string }, T any](request Q, token func(Q, string), fetch func(Q) (P, error), items func(P) []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		next := proto.Clone(request).(Q)
		for {
			page, err := fetch(next)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items(page) {
				if !yield(item, nil) {
					return
				}
			}
			if page.GetNextPageToken() == "" {
				return
			}
			token(next, page.GetNextPageToken())
		}
	}
}

// Answers chats in one piece.
type Chat struct{ v1.ChatServiceClient }

// Turns texts into vectors.
type Embeddings struct{ v1.EmbeddingServiceClient }

// Manages keys, groups and budgets. Needs the role ADMIN or KEY_MANAGER, to read READER too, but for a key that reads
// itself. A key manager makes and changes no key with the role ADMIN or KEY_MANAGER. A key manager or reader that
// belongs to a group reaches that group and what is in it alone; what is out of reach is NOT_FOUND. It reads its own
// group but does not change it.
type Keys struct{ v1.KeyServiceClient }

// ListKeysAll walks all pages of ListKeys.
func (s Keys) ListKeysAll(ctx context.Context, request *v1.ListKeysRequest, options ...grpc.CallOption) iter.Seq2[*v1.Key, error] {
	return walk(request,
		func(q *v1.ListKeysRequest, token string) { q.PageToken = token },
		func(q *v1.ListKeysRequest) (*v1.ListKeysResponse, error) { return s.ListKeys(ctx, q, options...) },
		func(p *v1.ListKeysResponse) []*v1.Key { return p.GetKeys() })
}

// ListGroupsAll walks all pages of ListGroups.
func (s Keys) ListGroupsAll(ctx context.Context, request *v1.ListGroupsRequest, options ...grpc.CallOption) iter.Seq2[*v1.Group, error] {
	return walk(request,
		func(q *v1.ListGroupsRequest, token string) { q.PageToken = token },
		func(q *v1.ListGroupsRequest) (*v1.ListGroupsResponse, error) { return s.ListGroups(ctx, q, options...) },
		func(p *v1.ListGroupsResponse) []*v1.Group { return p.GetGroups() })
}

// ListAlertsAll walks all pages of ListAlerts.
func (s Keys) ListAlertsAll(ctx context.Context, request *v1.ListAlertsRequest, options ...grpc.CallOption) iter.Seq2[*v1.Alert, error] {
	return walk(request,
		func(q *v1.ListAlertsRequest, token string) { q.PageToken = token },
		func(q *v1.ListAlertsRequest) (*v1.ListAlertsResponse, error) { return s.ListAlerts(ctx, q, options...) },
		func(p *v1.ListAlertsResponse) []*v1.Alert { return p.GetAlerts() })
}

// Manages policies: which targets serve a call, and in which order. Needs the role ADMIN; to
// read, KEY_MANAGER or READER will do, and to explain and simulate, READER.
type Policies struct{ v1.PolicyServiceClient }

// ListPoliciesAll walks all pages of ListPolicies.
func (s Policies) ListPoliciesAll(ctx context.Context, request *v1.ListPoliciesRequest, options ...grpc.CallOption) iter.Seq2[*v1.Policy, error] {
	return walk(request,
		func(q *v1.ListPoliciesRequest, token string) { q.PageToken = token },
		func(q *v1.ListPoliciesRequest) (*v1.ListPoliciesResponse, error) {
			return s.ListPolicies(ctx, q, options...)
		},
		func(p *v1.ListPoliciesResponse) []*v1.Policy { return p.GetPolicies() })
}

// ListPolicyVersionsAll walks all pages of ListPolicyVersions.
func (s Policies) ListPolicyVersionsAll(ctx context.Context, request *v1.ListPolicyVersionsRequest, options ...grpc.CallOption) iter.Seq2[*v1.Policy, error] {
	return walk(request,
		func(q *v1.ListPolicyVersionsRequest, token string) { q.PageToken = token },
		func(q *v1.ListPolicyVersionsRequest) (*v1.ListPolicyVersionsResponse, error) {
			return s.ListPolicyVersions(ctx, q, options...)
		},
		func(p *v1.ListPolicyVersionsResponse) []*v1.Policy { return p.GetPolicies() })
}

// Tells which models and providers there are, and what they would make of a request. Admins add models and change them.
type Models struct{ v1.ModelServiceClient }

// ListModelsAll walks all pages of ListModels.
func (s Models) ListModelsAll(ctx context.Context, request *v1.ListModelsRequest, options ...grpc.CallOption) iter.Seq2[*v1.Model, error] {
	return walk(request,
		func(q *v1.ListModelsRequest, token string) { q.PageToken = token },
		func(q *v1.ListModelsRequest) (*v1.ListModelsResponse, error) { return s.ListModels(ctx, q, options...) },
		func(p *v1.ListModelsResponse) []*v1.Model { return p.GetModels() })
}

// ListProvidersAll walks all pages of ListProviders.
func (s Models) ListProvidersAll(ctx context.Context, request *v1.ListProvidersRequest, options ...grpc.CallOption) iter.Seq2[*v1.Provider, error] {
	return walk(request,
		func(q *v1.ListProvidersRequest, token string) { q.PageToken = token },
		func(q *v1.ListProvidersRequest) (*v1.ListProvidersResponse, error) {
			return s.ListProviders(ctx, q, options...)
		},
		func(p *v1.ListProvidersResponse) []*v1.Provider { return p.GetProviders() })
}

// Answers chats as they are written.
type Streams struct{ v1.StreamServiceClient }

// Tells what was called and what it cost. A key sees its own calls; one with the role READER those of its group and
// below, or all where it has no group; an admin all.
type Usage struct{ v1.UsageServiceClient }

// QueryUsageAll walks all pages of QueryUsage.
func (s Usage) QueryUsageAll(ctx context.Context, request *v1.QueryUsageRequest, options ...grpc.CallOption) iter.Seq2[*v1.UsageRow, error] {
	return walk(request,
		func(q *v1.QueryUsageRequest, token string) { q.PageToken = token },
		func(q *v1.QueryUsageRequest) (*v1.QueryUsageResponse, error) { return s.QueryUsage(ctx, q, options...) },
		func(p *v1.QueryUsageResponse) []*v1.UsageRow { return p.GetRows() })
}

// ListRequestsAll walks all pages of ListRequests.
func (s Usage) ListRequestsAll(ctx context.Context, request *v1.ListRequestsRequest, options ...grpc.CallOption) iter.Seq2[*v1.RequestRecord, error] {
	return walk(request,
		func(q *v1.ListRequestsRequest, token string) { q.PageToken = token },
		func(q *v1.ListRequestsRequest) (*v1.ListRequestsResponse, error) {
			return s.ListRequests(ctx, q, options...)
		},
		func(p *v1.ListRequestsResponse) []*v1.RequestRecord { return p.GetRequests() })
}
