/* The life of a server: open, bind, drop root, confine, serve, reload, stop. Used by `barid serve` and `barid demo`. */
#ifndef SERVER_CORE_RUN_H
#define SERVER_CORE_RUN_H

#include "server/core/server.h"

struct server_options {
    struct config *config;                                /* borrowed; the server takes its own reference */
    const struct conn_ops *const ops[PROTOCOL_COUNT];     /* what each kind of listener speaks; static */
    bool confine;                                         /* Landlock and seccomp; false only where a test must trace the process */
};

/* Opens store and directory, binds all listeners, makes a certificate when none is configured, drops root. note has the sentence for the person.
 * Must be called before the process has other threads. */
enum err MUST_USE server_new(const struct server_options *options, struct server **out_server, struct err_note *note);
/* Starts the threads; returns. */
enum err MUST_USE server_start(struct server *server, struct err_note *note);
/* Reads the configuration file again and takes over what can change in service: certificates, log level, limits of new
 * sessions. Listeners, data folder and user need a restart; the note says so when they differ. On failure everything stays as it was. */
enum err MUST_USE server_reload(struct server *server, struct err_note *note);
/* Says goodbye, waits at most drain_ms, joins all threads. */
void server_stop(struct server *server, int drain_ms);
void server_free(struct server *server);

/* The port that was bound for a kind of listener (first of its kind), for ports chosen by the system. 0 when there is none. */
int server_port(const struct server *server, enum protocol protocol, bool implicit_tls);
/* Path of the certificate in use. Borrowed. */
const char *server_cert_file(const struct server *server);

#endif
