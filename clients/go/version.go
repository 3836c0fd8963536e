package headworks

// Version is the client's version.
const Version = "0.1.0"
