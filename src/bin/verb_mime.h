/* barid mime: shows how Barid sees a message. */
#ifndef BIN_VERB_MIME_H
#define BIN_VERB_MIME_H

/* argv[0] is the verb.
 *
 *   mime FILE            the decoded header and the tree of parts with offsets
 *   mime --imap FILE...  one line for each file: RFC822.SIZE, ENVELOPE, BODYSTRUCTURE, as IMAP gives them for the message with
 *                        lone LF made CRLF and NUL removed; literals have their line end as it is
 *
 * FILE "-" is standard input. Returns the exit code. */
int verb_mime(int argc, char **argv);

#endif
