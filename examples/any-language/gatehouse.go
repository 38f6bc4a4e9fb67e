// Asks Gatehouse about every request. GATEHOUSE=http://localhost:3000 CLIENT_ID=… CLIENT_SECRET=… PORT=4000 go run gatehouse.go
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

var gatehouse = http.Client{
	Timeout: 3 * time.Second,
	// Gatehouse closes a connection that was idle for 72 s: close it before.
	Transport: &http.Transport{IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 64},
	// The token and the secret are for Gatehouse alone.
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// introspect gives the claims of a live token, or nil, and its successor, or "". An error says that nobody can know.
func introspect(authorization string) (map[string]any, string, error) {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return nil, "", nil
	}
	form := strings.NewReader(url.Values{"token": {token}}.Encode())
	question, err := http.NewRequest("POST", os.Getenv("GATEHOUSE")+"/introspect", form)
	if err != nil {
		return nil, "", err
	}
	question.SetBasicAuth(os.Getenv("CLIENT_ID"), os.Getenv("CLIENT_SECRET"))
	question.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := gatehouse.Do(question)
	if err != nil {
		return nil, "", err
	}
	defer answer.Body.Close()
	var claims map[string]any
	if answer.StatusCode != 200 {
		return nil, "", errors.New(answer.Status)
	} else if err := json.NewDecoder(answer.Body).Decode(&claims); err != nil {
		return nil, "", err
	}
	active, isBool := claims["active"].(bool)
	if !isBool {
		return nil, "", errors.New("that was not Gatehouse")
	} else if !active {
		claims = nil
	}
	return claims, answer.Header.Get("Refreshed-API-Token"), nil
}

func hello(w http.ResponseWriter, r *http.Request) {
	claims, successor, err := introspect(r.Header.Get("Authorization"))
	if successor != "" {
		w.Header().Set("Refreshed-API-Token", successor)
		w.Header().Set("Cache-Control", "no-store")
	}
	if err != nil { // without a verdict nobody is let in, and nobody is logged out
		log.Printf("Gatehouse: %v", err)
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(503)
	} else if claims == nil {
		w.Header().Set("WWW-Authenticate", "Bearer")
		w.WriteHeader(401)
	} else {
		fmt.Fprintf(w, "Hello %s\n", claims["sub"])
	}
}

func main() {
	http.HandleFunc("/", hello)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
