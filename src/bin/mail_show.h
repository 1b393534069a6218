/* Messages of a folder as lines, for people and for programs. What strangers wrote is made safe for a terminal and isolated, so that a name in Arabic does not
 * turn the line around it. */
#ifndef BIN_MAIL_SHOW_H
#define BIN_MAIL_SHOW_H

#include "client/imap/imapc_mail.h"

#define MAIL_ROW_FIELDS "DATE FROM SUBJECT" /* for imapc_each */

struct mail_rows {
    bool json;
    const char *folder; /* named in each JSON line */
};
/* An imapc_message_fn; arg is a struct mail_rows. */
enum err mail_show_row(void *rows, const struct imapc_message *message);
/* Appends the value of a header field, decoded, in one line, for a terminal; isolated where it is not ASCII. */
void mail_add_value(struct slice raw, struct buf *out);
/* Name, else address, of the first of an address field; decoded. */
void mail_add_from(struct slice raw, struct buf *out);
/* Appends text of others for a terminal, isolated where it is not ASCII. */
void mail_add_isolated(struct slice utf8, struct buf *out);

#endif
