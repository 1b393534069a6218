/* IMAP from the client's side: one connection, its last answers. */
#ifndef LOAD_IMAP_H
#define LOAD_IMAP_H
#include "load.h"

struct imap {
    struct conn *c;
    struct sess *s;
    uint32_t tag;
    char *acc;
    size_t nacc, capacc;
    uint32_t exists, uidvalidity, uidnext, nfetch, nexpunge, nvanished;
    uint64_t modseq, litbytes;
    uint64_t first; /* when the first FETCH response came */
    uint32_t *uids;
    uint32_t nuids, capuids;
    uint32_t nthreads;
    uint32_t st_messages, st_unseen;
    bool litplus, move, qresync, sort, thread, uidplus, multiappend, caps;
    bool check_bodies;
    struct seenmap *seen;
    uint8_t *flagbits; /* by uid, filled from FETCH (FLAGS) when set */
    uint32_t flagcap;
    void (*on_fetch)(struct imap *, char *, size_t);
    char code[128];
};

const char *icontains(const char *s, size_t n, const char *what);

/* Connects and logs in; times, when asked for, in histograms h (connect, with TLS) and h + 1 (LOGIN). */
int imap_open(struct imap *m, struct sess *s, int user, int h);
int imap_need_caps(struct imap *m);
int imap_select(struct imap *m, const char *box);

/* The usual start of a session: log in, SELECT; on failure leaves the barrier. */
int imap_start(struct imap *m, struct sess *s, bool select);
void imap_close(struct imap *m);
void imap_free(struct imap *m);

/* One whole response: small literals are put in line, message bodies are checked and left out. */
int imap_read(struct imap *m, char **out, size_t *outn);

/* Waits for the tagged response: 0 OK, 1 NO or BAD, -1 connection lost. */
int imap_tagged(struct imap *m, uint32_t tag, const char *what);
uint32_t imap_send(struct imap *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Sends a command and waits for it; NO and BAD are counted as errors. */
int imap_cmd(struct imap *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
uint32_t fetch_uid(const char *s, size_t n);
void add_uid(struct imap *m, uint32_t u);
void shuffle(struct sess *s, uint32_t *v, uint32_t n);
void box_name(char *b, size_t cap, const char *n);
int put_append(
    struct imap *m, const char *box, uint32_t u, uint32_t *idx, int count, uint64_t *bytes);
#endif
