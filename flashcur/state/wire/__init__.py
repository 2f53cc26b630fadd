"""The one room that knows the insides of Reflex, Socket.IO and Engine.IO."""
