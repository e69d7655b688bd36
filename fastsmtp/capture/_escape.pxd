"""UTF-8 octets as they stand inside of a JSON string (RFC 8259 section 7). Everything here is inlined.

16 octets are looked at together, of the rest 8 and 4. What is written is what orjson writes.
"""

ctypedef unsigned char octet

cdef extern from *:
    """
    #include <string.h>
    typedef unsigned char fastsmtp_block __attribute__((vector_size(16)));
    typedef unsigned long long fastsmtp_pair __attribute__((vector_size(16)));

    /* What stands behind the backslash of a short escape; 0 = there is no short one. */
    static const unsigned char fastsmtp_short[128] = {
        [0x08] = 'b', [0x09] = 't', [0x0A] = 'n', [0x0C] = 'f', [0x0D] = 'r', [0x22] = '"', [0x5C] = 0x5C,
    };

    static inline int fastsmtp_is_plain(unsigned char octet)
    {
        return octet >= 0x20 && octet != '"' && octet != 0x5C;
    }

    /* Whether each of the octets in a word is plain; `ones` has a one in each. */
    #define FASTSMTP_ARE_PLAIN(word, ones) \\
        (!(((word - ones * 0x20) | ((word ^ ones * '"') - ones) | ((word ^ ones * 0x5C) - ones)) & ~word & ones * 0x80))

    static inline int fastsmtp_are_8_plain(const unsigned char *at)
    {
        unsigned long long word;
        memcpy(&word, at, 8);
        return FASTSMTP_ARE_PLAIN(word, 0x0101010101010101ULL);
    }

    static inline int fastsmtp_are_4_plain(const unsigned char *at)
    {
        unsigned int word;
        memcpy(&word, at, 4);
        return FASTSMTP_ARE_PLAIN(word, 0x01010101U);
    }

    /* How many octets from `at` on need no escape: neither control characters, nor a quote, nor a backslash. */
    static inline Py_ssize_t fastsmtp_unescaped(const unsigned char *at, const unsigned char *end)
    {
        const unsigned char *start = at;
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        fastsmtp_block octets;
        fastsmtp_pair odd;
        for (; end - at >= 16; at += 16) {
            memcpy(&octets, at, 16);
            odd = (fastsmtp_pair)((octets < 0x20) | (octets == '"') | (octets == 0x5C));
            if (odd[0])
                return at - start + __builtin_ctzll(odd[0]) / 8;
            if (odd[1])
                return at - start + 8 + __builtin_ctzll(odd[1]) / 8;
        }
    #endif
        while (at < end && fastsmtp_is_plain(*at))
            at++;
        return at - start;
    }

    /* Octets of the JSON string without its quotes. */
    static inline Py_ssize_t fastsmtp_escaped_size(const unsigned char *at, const unsigned char *end)
    {
        Py_ssize_t size = end - at;
        for (at += fastsmtp_unescaped(at, end); at < end; at += fastsmtp_unescaped(at, end))
            size += fastsmtp_short[*at++] ? 1 : 5;
        return size;
    }

    static inline unsigned char *fastsmtp_escape_one(unsigned char *out, unsigned char octet)
    {
        *out++ = 0x5C;
        if (fastsmtp_short[octet]) {
            *out++ = fastsmtp_short[octet];
            return out;
        }
        memcpy(out, "u00", 3);
        out[3] = "0123456789abcdef"[octet >> 4];
        out[4] = "0123456789abcdef"[octet & 15];
        return out + 5;
    }

    /* Write the octets where there is room for `fastsmtp_escaped_size` of them; return the end of what was written. */
    static inline unsigned char *fastsmtp_escape(
        unsigned char *out, const unsigned char *at, const unsigned char *end)
    {
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        fastsmtp_block octets;
        fastsmtp_pair odd;
        int run;
        while (end - at >= 16) {
            memcpy(&octets, at, 16);
            memcpy(out, &octets, 16); /* all of them: there are as many to come */
            odd = (fastsmtp_pair)((octets < 0x20) | (octets == '"') | (octets == 0x5C));
            run = odd[0] ? __builtin_ctzll(odd[0]) / 8 : odd[1] ? 8 + __builtin_ctzll(odd[1]) / 8 : 16;
            at += run;
            out += run;
            if (run < 16)
                out = fastsmtp_escape_one(out, *at++);
        }
    #endif
        if (end - at >= 8 && fastsmtp_are_8_plain(at)) {
            memcpy(out, at, 8);
            at += 8;
            out += 8;
        }
        if (end - at >= 4 && fastsmtp_are_4_plain(at)) {
            memcpy(out, at, 4);
            at += 4;
            out += 4;
        }
        while (at < end) {
            if (fastsmtp_is_plain(*at))
                *out++ = *at++;
            else
                out = fastsmtp_escape_one(out, *at++);
        }
        return out;
    }
    """
    Py_ssize_t unescaped "fastsmtp_unescaped" (const octet* at, const octet* end) noexcept nogil
    Py_ssize_t escaped_size_of "fastsmtp_escaped_size" (const octet* at, const octet* end) noexcept nogil
    octet* write_escaped "fastsmtp_escape" (octet* out, const octet* at, const octet* end) noexcept nogil
