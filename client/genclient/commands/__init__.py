"""The commands of genclient, a file each, loaded when one is called; nothing heavy is imported before it is needed."""
