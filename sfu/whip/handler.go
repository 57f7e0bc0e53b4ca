package whip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/sluicertc/sluice/sdp"
	"github.com/sluicertc/sluice/sfu"
)

// The media types of bodies.
const (
	typeSDP      = "application/sdp"
	typeFragment = "application/trickle-ice-sdpfrag"
)

// ICEServer is announced to clients in a Link header (RFC 9725 §4.6).
type ICEServer struct {
	URL                  string // stun:, turn: or turns:
	Username, Credential string // of turn: and turns:
}

// Config configures a Handler. Server is required.
type Config struct {
	Server *sfu.Server
	// Prefix is the path below which the handler is mounted; it stands in
	// front of the paths in Location.
	Prefix     string
	Access     Access
	ICEServers []ICEServer
	// Logger receives what an operator should know; nil means slog.Default.
	Logger *slog.Logger
}

// Handler is an http.Handler. Its paths begin behind the prefix.
type Handler struct {
	cfg   Config
	log   *slog.Logger
	mux   *http.ServeMux
	links []string
}

// New makes a Handler.
func New(cfg Config) (*Handler, error) {
	if cfg.Server == nil {
		return nil, errors.New("whip: Config.Server is missing")
	}
	cfg.Prefix = strings.TrimSuffix(cfg.Prefix, "/")
	h := &Handler{cfg: cfg, log: cfg.Logger, mux: http.NewServeMux()}
	if h.log == nil {
		h.log = slog.Default()
	}
	for _, s := range cfg.ICEServers {
		l, err := s.link()
		if err != nil {
			return nil, err
		}
		h.links = append(h.links, l)
	}
	for pattern, m := range map[string]methods{
		"/whip/{stream}": {"POST": h.publish},
		"/whep/{stream}": {"POST": h.play},
		"/echo":          {"POST": h.echo},
		"/session/{id}":  {"PATCH": h.patch, "DELETE": h.delete},
	} {
		h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, m) })
	}
	h.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if cfg.Access.cors(w, r) {
			WriteProblem(w, http.StatusNotFound, "", "", "there is nothing at this path; see /whip/{stream}, /whep/{stream}, /echo")
		}
	})
	return h, nil
}

func (s *ICEServer) link() (string, error) {
	scheme, _, _ := strings.Cut(s.URL, ":")
	switch scheme {
	case "stun", "stuns", "turn", "turns":
	default:
		return "", fmt.Errorf("whip: ICE server %q: not a stun:, turn: or turns: URL", s.URL)
	}
	if strings.ContainsAny(s.URL, "<>\r\n ") || strings.ContainsAny(s.Username+s.Credential, "\"\\\r\n") {
		return "", fmt.Errorf("whip: ICE server %q: a character that a Link header cannot hold", s.URL)
	}
	l := "<" + s.URL + `>; rel="ice-server"`
	if s.Username != "" {
		l += fmt.Sprintf(`; username="%s"; credential="%s"; credential-type="password"`, s.Username, s.Credential)
	}
	return l, nil
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

type methods map[string]http.HandlerFunc

func (m methods) allow() string {
	var list []string
	for _, name := range []string{"POST", "PATCH", "DELETE"} {
		if m[name] != nil {
			list = append(list, name)
		}
	}
	return strings.Join(append(list, "OPTIONS"), ", ")
}

// serve does for every path what is the same.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, m methods) {
	if !h.cfg.Access.cors(w, r) {
		return
	}
	if m["POST"] != nil {
		w.Header().Set("Accept-Post", typeSDP) // RFC 9725 §4.2
	}
	if m["PATCH"] != nil {
		w.Header().Set("Accept-Patch", typeFragment+", "+typeSDP) // RFC 5789 §3.1
	}
	f := m[r.Method]
	switch {
	case r.Method == http.MethodOptions:
		// A preflight bears no token.
		preflight(w, m.allow())
	case f == nil:
		w.Header().Set("Allow", m.allow())
		WriteProblem(w, http.StatusMethodNotAllowed, "", "", r.Method+" has no meaning here; allowed are "+m.allow())
	case h.cfg.Access.authorized(w, r):
		f(w, r)
	}
}

// body reads a request's body of a media type. It reports false, having
// answered, when there is none.
func body(w http.ResponseWriter, r *http.Request, limit int64) (string, bool) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		WriteProblem(w, http.StatusRequestEntityTooLarge, "too-large", "The body is too large", fmt.Sprintf("at most %d bytes", limit))
		return "", false
	case err != nil:
		WriteProblem(w, http.StatusBadRequest, "body", "The body cannot be read", "")
		return "", false
	}
	return string(b), true
}

func mediaType(r *http.Request) string {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

func wrongType(w http.ResponseWriter, r *http.Request, want string) {
	WriteProblem(w, http.StatusUnsupportedMediaType, "content-type", "The body has the wrong type",
		fmt.Sprintf("Content-Type is %q, and must be %s", r.Header.Get("Content-Type"), want))
}

// readOffer reads the body of a POST.
func readOffer(w http.ResponseWriter, r *http.Request) (string, bool) {
	if mediaType(r) != typeSDP {
		wrongType(w, r, typeSDP)
		return "", false
	}
	return body(w, r, maxOffer)
}

func (h *Handler) publish(w http.ResponseWriter, r *http.Request) {
	h.open(w, r, func(ctx context.Context, offer string) (*sfu.Session, string, error) {
		return h.cfg.Server.Publish(ctx, r.PathValue("stream"), offer)
	})
}

func (h *Handler) play(w http.ResponseWriter, r *http.Request) {
	h.open(w, r, func(ctx context.Context, offer string) (*sfu.Session, string, error) {
		return h.cfg.Server.Play(ctx, r.PathValue("stream"), offer, r.URL.Query().Get("rid"))
	})
}

func (h *Handler) echo(w http.ResponseWriter, r *http.Request) { h.open(w, r, h.cfg.Server.Echo) }

// open begins a session (RFC 9725 §4.2).
func (h *Handler) open(w http.ResponseWriter, r *http.Request, do func(context.Context, string) (*sfu.Session, string, error)) {
	text, ok := readOffer(w, r)
	if !ok {
		return
	}
	x, answer, err := do(r.Context(), text)
	if err != nil {
		h.fail(w, err)
		return
	}
	hd := w.Header()
	hd.Set("Location", h.cfg.Prefix+"/session/"+x.ID())
	hd.Set("Accept-Patch", typeFragment+", "+typeSDP)
	for _, l := range h.links {
		hd.Add("Link", l)
	}
	reply(w, http.StatusCreated, x, typeSDP, answer)
}

// reply sends a description of a session's.
func reply(w http.ResponseWriter, status int, x *sfu.Session, typ, text string) {
	hd := w.Header()
	hd.Set("Content-Type", typ)
	hd.Set("Content-Length", strconv.Itoa(len(text)))
	hd.Set("ETag", etag(x))
	hd.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // nobody is left to tell of an error
}

// etag names the ICE generation (RFC 9725 §4.3.1).
func etag(x *sfu.Session) string { return strconv.Quote("ice-" + strconv.Itoa(x.Generation())) }

func (h *Handler) session(w http.ResponseWriter, r *http.Request) (*sfu.Session, bool) {
	x, ok := h.cfg.Server.Session(r.PathValue("id"))
	if !ok {
		h.fail(w, fmt.Errorf("%w, or never was", sfu.ErrEnded))
	}
	return x, ok
}

func (h *Handler) delete(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	x, ok := h.cfg.Server.Session(id)
	switch {
	case ok:
		_ = x.Close() // it goes on in the background when it does not end in time
	case !h.cfg.Server.Parted(id):
		h.session(w, r)
		return
	}
	w.WriteHeader(http.StatusOK)
}

func (h *Handler) patch(w http.ResponseWriter, r *http.Request) {
	x, ok := h.session(w, r)
	if !ok {
		return
	}
	match := r.Header.Get("If-Match")
	switch mediaType(r) {
	case typeFragment:
		if text, ok := body(w, r, maxFragment); ok {
			h.trickle(w, r, x, match, text)
		}
	case typeSDP:
		if match != "" && match != "*" && match != etag(x) {
			stale(w, x, match)
			return
		}
		if text, ok := body(w, r, maxOffer); ok {
			answer, err := x.Reoffer(r.Context(), text)
			if err != nil {
				h.fail(w, err)
				return
			}
			reply(w, http.StatusOK, x, typeSDP, answer)
		}
	default:
		wrongType(w, r, typeFragment+" or "+typeSDP)
	}
}

func stale(w http.ResponseWriter, x *sfu.Session, match string) {
	WriteProblem(w, http.StatusPreconditionFailed, "ice-generation", "The session is in another ICE generation",
		fmt.Sprintf("If-Match is %s, and the session's entity tag %s", match, etag(x)))
}

// trickle takes candidates or restarts ICE (RFC 9725 §4.3.2 and §4.3.3).
//
// Deviates: a fragment without If-Match is taken when its ice-ufrag is the
// session's, where the RFC answers 428: the fragment names the generation
// itself, and many clients send no If-Match.
func (h *Handler) trickle(w http.ResponseWriter, r *http.Request, x *sfu.Session, match, text string) {
	if match != "" && match != "*" && match != etag(x) {
		stale(w, x, match)
		return
	}
	f, err := ParseFragment(text)
	if err != nil {
		h.fail(w, err)
		return
	}
	other := f.Ufrag != "" && f.Ufrag != x.RemoteUfrag()
	switch {
	case other && match == "*":
		h.restart(w, r, x, f)
	case other && match == "":
		WriteProblem(w, http.StatusPreconditionRequired, "ice-generation", "If-Match is required",
			"the fragment's ice-ufrag is new to the session; an ICE restart is asked for with If-Match: *")
	default:
		if err := x.AddCandidates(f.Ufrag, f.Candidates); err != nil {
			h.fail(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func (h *Handler) restart(w http.ResponseWriter, r *http.Request, x *sfu.Session, f Fragment) {
	if f.Pwd == "" {
		h.fail(w, fmt.Errorf("%w: a restart needs an ice-pwd beside the ice-ufrag", ErrFragment))
		return
	}
	local, err := x.Restart(r.Context(), f.Ufrag, f.Pwd, f.Candidates)
	if err != nil {
		h.fail(w, err)
		return
	}
	d, err := sdp.Parse(local)
	if err != nil {
		h.fail(w, err)
		return
	}
	reply(w, http.StatusOK, x, typeFragment, formatFragment(d))
}
