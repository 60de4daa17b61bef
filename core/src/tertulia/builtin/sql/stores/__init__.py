"""The operations of the store on SQL, by what they are about."""
