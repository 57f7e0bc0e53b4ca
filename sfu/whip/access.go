package whip

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Access decides who may ask for what.
type Access struct {
	// Token is required as a bearer token (RFC 6750); empty asks for none.
	Token string
	// Origins are those of web pages elsewhere that may use the server, such
	// as "https://example.org"; "*" means all. The server's own pages and
	// programs, which send no Origin, always may.
	Origins []string
}

// cors answers what CORS asks. It reports false, having answered, when the
// request comes from a page that may not make it (class 42).
func (a *Access) cors(w http.ResponseWriter, r *http.Request) bool {
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	all := slices.Contains(a.Origins, "*")
	if !all && !slices.Contains(a.Origins, origin) && !sameOrigin(origin, r) {
		WriteProblem(w, http.StatusForbidden, "origin", "Pages of this origin may not use the server",
			"the request comes from a page of "+origin+", which is not among the allowed origins")
		return false
	}
	if all {
		origin = "*"
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "Location, ETag, Link, Accept-Patch, Accept-Post, Retry-After, WWW-Authenticate")
	return true
}

// sameOrigin reports whether a page comes from the host that it asks. The
// scheme is left out: a proxy may have taken TLS off.
func sameOrigin(origin string, r *http.Request) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

// preflight answers OPTIONS.
func preflight(w http.ResponseWriter, methods string) {
	h := w.Header()
	h.Set("Allow", methods)
	h.Set("Access-Control-Allow-Methods", methods)
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusOK)
}

// authorized checks the bearer token, and answers 401 when it is not right.
func (a *Access) authorized(w http.ResponseWriter, r *http.Request) bool {
	if a.Token == "" {
		return true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	given := strings.EqualFold(scheme, "Bearer") && token != ""
	if given && len(token) <= maxToken {
		// Of hashes, so that not even the length shows in the time.
		x, y := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(a.Token))
		if subtle.ConstantTimeCompare(x[:], y[:]) == 1 {
			return true
		}
	}
	challenge, text := `Bearer realm="sluice"`, "the request has no bearer token (Authorization: Bearer ...)"
	if given {
		challenge, text = challenge+`, error="invalid_token"`, "the bearer token is not right"
	}
	w.Header().Set("WWW-Authenticate", challenge)
	WriteProblem(w, http.StatusUnauthorized, "token", "A bearer token is required", text)
	return false
}

// Guard wraps a handler of another kind with the same rules: Origin for
// requests that change something, and the token.
func (a *Access) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.cors(w, r) {
			return
		}
		if r.Method == http.MethodOptions {
			preflight(w, "GET, HEAD, OPTIONS")
			return
		}
		if a.authorized(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}
