/* The pool of threads, the epoll set with the parked connections, listeners and deadlines (DESIGN §3). */
#ifndef NET_NET_H
#define NET_NET_H

#include "net/conn.h"
#include "net/tls.h"

struct net_options {
    unsigned threads;             /* 0 = 64 */
    size_t connections_max;       /* over it new ones are closed at once; 0 = 19000 */
    size_t connections_per_address_max; /* loopback is exempt; 0 = 200 */
    int linger_ms; /* how long a thread waits for the next frame before it parks; adaptive up to this; 0 = not at all
                    * (docs/decisions/0001-threads-and-linger.md) */
    int write_ms;     /* how long a flush waits without progress; 0 = DEADLINE_WRITE_MS */
    int handshake_ms; /* a TLS handshake in all; 0 = DEADLINE_TLS_MS */
};

struct net_stats {
    unsigned long long accepted, refused, tls_failed;
    size_t open, parked;
};

/* Starts no thread yet. */
enum err MUST_USE net_new(const struct net_options *options, struct net **out_net);

enum net_tls {
    NET_TLS_NONE,     /* plain, no STARTTLS */
    NET_TLS_STARTTLS, /* plain at first */
    NET_TLS_IMPLICIT, /* handshake first */
};

struct net_listener_options {
    const char *address; /* "127.0.0.1", "::", or "/path" for a Unix socket (unlinked and bound anew, mode 0660) */
    int port;            /* 0 = the system chooses; see *out_port */
    enum net_tls tls;
    const struct conn_ops *ops; /* borrowed, static */
    void *listener_arg;         /* borrowed; passed to ops->open */
};

/* Binds and listens; accepting starts with net_start. `note` gets a sentence for the person who runs it. */
enum err MUST_USE net_listen(struct net *net, const struct net_listener_options *options, int *out_port,
        struct err_note *note);

/* The certificate for all TLS listeners and STARTTLS; may be called again at any time (SIGHUP): connections
 * that exist keep theirs. Takes a reference. */
void net_set_tls(struct net *net, struct tls_server *tls);

/* Starts the threads; returns. */
enum err MUST_USE net_start(struct net *net);
/* Stops accepting, calls `shutdown` of every parked session and, when its current input returns, of every running one (its
 * conn_woken is true meanwhile). After drain_ms all sockets are cut, so that no flush and no peer holds it up; then it
 * only waits for sessions to return, and joins the threads. Calling it again does nothing. A stopped net does not start again. */
void net_stop(struct net *net, int drain_ms);
void net_free(struct net *net);

struct net_stats net_stats(const struct net *net);

#endif
