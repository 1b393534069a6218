/* Finds where one IMAP command ends (RFC 3501 §4.3, §9 "command"; RFC 7888).
 *
 * Knows CRLF and literal headers at the end of a line, no grammar. Resumable at every byte. Does no I/O, allocates nothing, keeps
 * no pointer into the input. One framer per direction; not thread-safe, needs no lock.
 *
 * A complete frame is the command as sent, literals inside. Only the messages of APPEND are different: their literals are not
 * collected. The framer stops behind the literal's header (IMAP_FRAME_BODY), the caller takes the bytes out of the stream
 * and resumes with what follows. */
#ifndef PROTO_IMAP_FRAME_H
#define PROTO_IMAP_FRAME_H

#include "base/err.h"
#include "base/slice.h"

struct imap_frame_limits {
    size_t line_bytes_max;    /* a command without its literals */
    size_t literal_bytes_max; /* one literal that is not a message of APPEND */
    size_t frame_bytes_max;   /* line and collected literals together */
    size_t literals_max;      /* literals of both kinds */
};

enum imap_frame {
    IMAP_FRAME_MORE,     /* feed again when there is more */
    IMAP_FRAME_CONTINUE, /* a synchronising literal follows: send "+" and feed on */
    IMAP_FRAME_BODY, /* buf[0 .. seen) ends with the header of a message literal of f->literal bytes; f->sync: send "+" */
    IMAP_FRAME_DONE, /* buf[0 .. seen) is one command, or the last piece of an APPEND; consume it and call imap_framer_init */
    IMAP_FRAME_BAD, /* the line up to seen holds a bare CR, a bare LF or NUL: refuse it, consume it and start anew */
    IMAP_FRAME_TOO_BIG, /* a literal of f->literal bytes is over a limit. f->sync: refuse and start anew behind seen; else fatal */
    IMAP_FRAME_TOO_LONG, /* the line is over line_bytes_max; fatal */
};

struct imap_framer {
    struct imap_frame_limits limits;
    size_t seen;            /* bytes examined */
    size_t line_start;      /* of the line that seen is in */
    size_t line_bytes;      /* of the earlier lines of this command, literals not counted */
    size_t collected_bytes; /* of the literals in buf */
    size_t literal_left;    /* bytes of a collected literal not yet seen */
    size_t literals;
    uint64_t literal; /* size of the last literal */
    bool sync;        /* the last literal was {n}, not {n+} */
    bool resumed;     /* the frame began before buf */
    bool append;      /* the command is APPEND */
};

void imap_framer_init(struct imap_framer *f, const struct imap_frame_limits *limits);

/* Examines buf from where the last call stopped. buf is borrowed; the frame from its first byte; it may have moved since
 * the last call, and must not have shrunk. */
enum imap_frame MUST_USE imap_framer_feed(struct imap_framer *f, struct slice buf);

/* After IMAP_FRAME_BODY, when the caller has consumed buf up to seen and the literal behind it. */
void imap_framer_resume(struct imap_framer *f);

#endif
