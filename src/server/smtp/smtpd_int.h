/* Private to server/smtp: the session and the mail transaction. */
#ifndef SERVER_SMTP_SMTPD_INT_H
#define SERVER_SMTP_SMTPD_INT_H

#include "deliver/deliver.h"
#include "proto/smtp/smtp_parse.h"
#include "proto/wire/wire.h"
#include "server/core/login.h"
#include "server/core/server.h"
#include "server/smtp/smtpd.h"

#include <sodium.h>

struct smtpd_recipient {
    struct slice address; /* as given */
    struct user *users;   /* where it goes; one for nearly all */
    size_t user_count;
    struct slice detail;
};

/* A mail transaction: from MAIL to the answer after the message. RSET frees it. */
struct smtpd_mail {
    struct arena arena;
    struct smtp_mail from;
    struct smtpd_recipient *recipients; /* in the arena */
    size_t recipient_count, recipient_cap;
    char id[17]; /* names the message in logs and in the answer */
    /* the message on its way in */
    struct blob *blob; /* NULL before its first byte */
    struct buf header; /* submission: the header section, until it is whole */
    bool header_done;
    uint64_t size; /* bytes so far */
    struct wire_dot_in dots;
    enum err error;                /* why the message is refused at its end */
    const char *error_text;        /* static: the reply that goes with it */
    bool after_cr;                 /* the last byte of the last chunk was a CR */
    bool chunked;                  /* BDAT began: DATA is out of order */
    crypto_generichash_state hash; /* of the bytes as they came */
};

enum smtpd_mode {
    SMTPD_COMMAND,
    SMTPD_SASL,
    SMTPD_DATA,
    SMTPD_CHUNK,
    SMTPD_SKIP_LINE, /* the rest of a line that is too long */
};

struct smtpd_session {
    struct conn *conn;
    struct server *server;
    struct config *config; /* ref */
    enum protocol protocol;
    enum smtpd_mode mode;
    struct wire_line framer;
    char name[256]; /* what EHLO said; "" before */
    bool extended;  /* EHLO or LHLO, not HELO */
    struct login *login;
    bool logged_in;
    struct user user;
    struct server_session *server_session;
    struct smtpd_mail *mail; /* NULL outside a transaction */
    uint64_t chunk_left;
    bool chunk_last, chunk_drop; /* a chunk outside a transaction is read and refused */
    bool closing, stop_reading, start_tls;
    unsigned bad_commands;
    unsigned long long messages;
    int64_t opened_ms;
};

/* One reply line; code 250 and so on, the enhanced code may be "". Returns ERR_OK, so that a handler may return it. */
enum err smtpd_reply(
    struct smtpd_session *s, int code, const char *enhanced, const char *format, ...) PRINTF(4, 5);
/* The same, and counted as a bad command. */
enum err smtpd_bad(struct smtpd_session *s, int code, const char *enhanced, const char *text);
void smtpd_mail_free(struct smtpd_session *s);

/* Commands; rest is what stood after the verb. */
enum err smtpd_cmd_hello(struct smtpd_session *s, enum smtp_verb verb, struct slice rest);
enum err smtpd_cmd_starttls(struct smtpd_session *s, struct slice rest);
enum err smtpd_cmd_auth(struct smtpd_session *s, struct slice rest);
enum err smtpd_sasl_line(struct smtpd_session *s, struct slice line);
enum err smtpd_cmd_mail(struct smtpd_session *s, struct slice rest);
enum err smtpd_cmd_rcpt(struct smtpd_session *s, struct slice rest);
enum err smtpd_cmd_data(struct smtpd_session *s, struct slice rest);
enum err smtpd_cmd_bdat(struct smtpd_session *s, struct slice rest);

/* Bytes of the message, wherever they are cut; what they break is remembered and said at the end. */
void smtpd_take(struct smtpd_session *s, struct slice bytes);
/* The same for a chunk (RFC 3030), whose line ends nobody has looked at. */
void smtpd_take_chunk(struct smtpd_session *s, struct slice bytes);
/* The message is whole: files or submits it and answers. */
enum err smtpd_message_end(struct smtpd_session *s);
/* Whether mail for a full mailbox is refused for good ([quota] full). */
bool smtpd_refuses_full(const struct smtpd_session *s);
/* For smtpd_take: marks the message as refused; the first reason stays. */
void smtpd_refuse(struct smtpd_mail *mail, enum err e, const char *reply);

/* Submission: what the header section becomes before it is stored. ERR_DENIED and the reply's text when it may not be sent. */
enum err MUST_USE smtpd_submission_header(
    struct smtpd_session *s, struct slice header, struct buf *out, const char **out_reply);
/* "Received: ..." with its line end. */
void smtpd_write_received(const struct smtpd_session *s, struct buf *out);

#endif
