/* Error kinds. Small on purpose: each value has one reply class in every protocol.
 *
 * A function that can fail returns `enum err` and leaves its out-parameters untouched on failure.
 * Text for a person travels beside it in a `struct err_note`, never in a protocol reply. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define MUST_USE     __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))

enum err {
    ERR_OK = 0,
    ERR_SYNTAX,    /* the peer's (or a file's) bytes do not fit the grammar */
    ERR_LIMIT,     /* over a named limit or a memory budget */
    ERR_NOT_FOUND, /* no such account, mailbox, message, file */
    ERR_EXISTS,    /* it is there already */
    ERR_DENIED,    /* not allowed for this user or in this state */
    ERR_AUTH,      /* wrong user or password; the two are never told apart */
    ERR_BUSY,      /* in use or overloaded; trying again later may work */
    ERR_NO_SPACE,  /* quota or disk full */
    ERR_IO,        /* the disk or the system failed */
    ERR_CORRUPT,   /* stored data contradict themselves */
    ERR_TIMEOUT,   /* a deadline passed */
    ERR_CLOSED,    /* the peer went away */
    ERR_CANCELED,  /* the server is shutting down */
};

/* One lower-case word for logs and tests: "ok", "syntax", ... Never NULL. */
const char *err_name(enum err e);

/* The kind that fits a value of errno. Never ERR_OK. */
enum err err_from_errno(int errno_value);

/* What a person should read: configuration and corruption messages. */
struct err_note {
    char text[512];
};

/* Formats into note and returns e, so that `return err_noted(note, ERR_SYNTAX, "...")` works. note may be NULL. */
enum err err_noted(struct err_note *note, enum err e, const char *format, ...) PRINTF(3, 4);

/* Notes are in the language of the command line: translate gives for an English text, which may be a printf format, the one in that language, or the text
 * itself. NULL: English, as at the start. To be called once, before there are threads. */
void err_language(const char *(*translate)(const char *english));
/* The text, or format, in that language. */
const char *err_in(const char *english) __attribute__((format_arg(1)));
/* What an error means, in words for a note. */
const char *err_words(enum err e);

/* Returns from the calling function with the error of expr, if any. The only control-flow macro. */
#define TRY(expr)                                                                                  \
    do {                                                                                           \
        enum err try_err_ = (expr);                                                                \
        if (try_err_ != ERR_OK)                                                                    \
            return try_err_;                                                                       \
    } while (0)

#endif
