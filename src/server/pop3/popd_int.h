/* Private to server/pop3. */
#ifndef SERVER_POP3_POPD_INT_H
#define SERVER_POP3_POPD_INT_H

#include "auth/pop_policy.h"
#include "message/downgrade.h"
#include "proto/pop3/pop_parse.h"
#include "proto/wire/wire.h"
#include "server/core/login.h"
#include "server/core/maildrop.h"
#include "server/core/server.h"
#include "server/pop3/popd.h"
#include "server/pop3/popd_texts.h"

/* One message of the snapshot that the session sees from its login to its end. */
struct popd_message {
    struct store_entry entry;
    int64_t mailbox;
    bool deleted; /* marked; nothing happens before QUIT */
    bool taken;   /* sent whole */
    bool seen;    /* by RETR */
    bool may_need_utf8;       /* as store_download */
    uint64_t surrogate_bytes;
    uint32_t uidl_at, uidl_len; /* in the session's uidls; len 0: its guid */
};

enum popd_state {
    POPD_AUTHORIZATION,
    POPD_SASL,
    POPD_TRANSACTION,
};

struct popd_session {
    struct conn *conn;
    struct server *server;
    enum popd_state state;
    struct wire_line framer;
    bool skipping; /* the rest of a line that is too long */
    struct login *login; /* NULL after it */
    enum popd_lang lang; /* of the texts */
    bool utf8;           /* messages are sent as they are (RFC 6856 §2.1) */
    char name[USER_NAME_BYTES_MAX + 1]; /* what USER said; "" before */
    struct user user;
    struct account *account; /* ref */
    struct server_session *server_session;
    struct pop_policy policy; /* as it was at the login */
    struct popd_message *messages; /* owned */
    size_t message_count;
    struct buf uidls; /* what other servers called messages before they were brought here */
    uint64_t bytes_sent;
    size_t retrieved, expunged;
    unsigned bad_commands;
    bool closing, stop_reading, start_tls;
    int64_t opened_ms;
    /* bodies read ahead, when messages are asked for one after the other */
    struct arena ahead;
    struct store_rows ahead_rows;
    size_t ahead_at; /* next row of ahead_rows to be asked for */
    int64_t ahead_mailbox;
    /* summaries made anew, not kept yet */
    struct buf made;
    struct store_derived *made_of; /* owned; bytes.ptr is NULL, they follow each other in made */
    size_t made_count, made_cap;
};

enum err popd_ok(struct popd_session *s, enum popd_text text);
/* With its number. */
enum err popd_ok_number(struct popd_session *s, enum popd_text text, uint64_t number);
/* code: "[AUTH]" or "" */
enum err popd_err(struct popd_session *s, const char *code, enum popd_text text);
/* Counted as a bad command. */
enum err popd_bad(struct popd_session *s, enum popd_text text);

enum err popd_cmd_capa(struct popd_session *s);
enum err popd_cmd_user(struct popd_session *s, struct slice rest);
enum err popd_cmd_pass(struct popd_session *s, struct slice rest);
enum err popd_cmd_auth(struct popd_session *s, struct slice rest);
enum err popd_cmd_stls(struct popd_session *s);
enum err popd_cmd_utf8(struct popd_session *s);
enum err popd_cmd_lang(struct popd_session *s, struct slice rest);
enum err popd_sasl_line(struct popd_session *s, struct slice line);

/* Which bodies are read together with that of m: those of the messages that follow in the same mailbox, in its order, as many as fit. Not what lies between
 * them and is not in the list. */
void popd_ahead(const struct popd_message *m, const struct popd_message *end, struct uidset *out_uids);

/* Takes the snapshot. */
enum err MUST_USE popd_open_maildrop(struct popd_session *s);
enum err popd_cmd_stat(struct popd_session *s);
enum err popd_cmd_list(struct popd_session *s, struct slice rest, bool uidl);
enum err popd_cmd_dele(struct popd_session *s, struct slice rest);
enum err popd_cmd_rset(struct popd_session *s);
/* Removes what is marked, and only then answers (RFC 1939 §6). */
enum err popd_cmd_quit(struct popd_session *s);
/* The message that a number means; NULL and the answer given when it means none. */
struct popd_message *popd_message(struct popd_session *s, struct slice rest);

/* How many octets RETR sends, dots not doubled. */
uint64_t popd_size(const struct popd_session *s, const struct popd_message *m);

struct popd_surrogate {
    bool needed;
    struct buf bytes; /* owned: the summary */
    struct msg_summary summary;
};
/* Whether the message is to be sent as its surrogate, and what is needed to make it. Cheap where it is not. To be released also after an error. */
enum err MUST_USE popd_surrogate_open(struct popd_session *s, struct popd_message *m,
    const struct msg_source *source, struct popd_surrogate *out_surrogate);
void popd_surrogate_done(struct popd_surrogate *surrogate);
/* Keeps what was made anew. Waits for the disk. */
void popd_made_keep(struct popd_session *s);

enum err popd_cmd_retr(struct popd_session *s, struct slice rest);
enum err popd_cmd_top(struct popd_session *s, struct slice rest);

#endif
