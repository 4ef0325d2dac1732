"""What a file lost of its picture: z by band, figures, the page and the sheet of `irc compare`."""
