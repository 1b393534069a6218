/* SMTP from other servers, submission from our users, LMTP from a mail transfer agent on this machine (RFC 5321, RFC 6409, RFC 2033). */
#ifndef SERVER_SMTP_SMTPD_H
#define SERVER_SMTP_SMTPD_H

#include "net/conn.h"

/* listener_arg: struct server */
extern const struct conn_ops smtpd_ops, smtpd_submission_ops, smtpd_lmtp_ops;

#endif
