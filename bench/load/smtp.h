/* SMTP and LMTP from the client's side. */
#ifndef LOAD_SMTP_H
#define LOAD_SMTP_H
#include "load.h"

struct smtp {
    struct conn *c;
    bool lmtp, chunking, pipelining, starttls, plain;
};

int smtp_open(struct smtp *m, struct conn *c, struct sess *s);
int smtp_reply(struct smtp *m, char *text, size_t cap);

/* Sends message (u, i) to the recipients u .. u + nr - 1 and waits for the answers. t_dot gets the time at which the
 * last byte was handed to the kernel. */
int smtp_send(struct smtp *m, uint32_t u, uint32_t i, int nr, uint64_t *t_dot, size_t *size);
#endif
