"""Papers as PDF. A process of its own opens them, with little memory and little time; nothing here trusts one."""
